"""`constrained`: once-for-all's evolutionary search for the most accurate network within a budget (Cai et al. 2020).

One run per budget. Population 100; the best quarter become parents; half of the children are mutations of one parent,
half uniform crossovers of two. Once-for-all redraws a child until it meets the budget; here the number of draws is
limited (`REDRAWS`), so a generation can have fewer children.
"""

from collections.abc import Callable

import numpy as np

from explorer.core.protocols import Progress, silent
from explorer.devices.population import costs_of, nearest, overshoot, prices
from explorer.searches.archive import Archive
from explorer.spaces.operators import cross, mutate

POPULATION, PARENTS, MUTATION, REDRAWS = 100, 25, 0.1, 20
BUDGETS = 10  # number of runs if no budget is given, with budgets spread over the first device's range


def constrained(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Run once under the archive's budgets; without any, run once for each of `BUDGETS` budgets on the first device."""
    if not np.isnan(archive.limits).all():
        _evolve(archive, archive.limits, archive.evaluations, rng, progress)
        return
    device = archive.devices[0]
    costs = prices(archive.space, device, archive.space.sample(1000, rng))
    low = device.cost(archive.space, nearest(archive.space, [device], np.ones(1))[None])[0]
    share = archive.evaluations // BUDGETS
    rungs = np.geomspace(1.05 * low, np.nanmax(costs), BUDGETS)
    for rung in progress(rungs.tolist(), BUDGETS, "searching (one run per budget)"):
        limits = np.full(len(archive.devices), np.nan)
        limits[0] = rung
        _evolve(archive, limits, share, rng, silent)


def _evolve(
    archive: Archive, limits: np.ndarray, evaluations: int, rng: np.random.Generator, progress: Progress
) -> None:
    space, until = archive.space, archive.count + evaluations
    population = _fitting(archive, limits, lambda n: space.sample(n, rng))
    if len(population) == 0:
        population = nearest(space, archive.devices, limits)[None]
    accuracy, _ = archive.evaluate(population)
    rounds = max(1, evaluations // POPULATION)
    for _ in progress(range(2 * rounds), rounds, "searching"):
        if archive.count >= until:
            return
        best = np.argsort(-accuracy, kind="stable")[:PARENTS]
        parents, parents_accuracy = population[best], accuracy[best]

        def children(n: int, parents: np.ndarray = parents) -> np.ndarray:
            a, b = parents[rng.integers(0, len(parents), (2, n))]
            return np.concatenate(
                [mutate(space, a[: n // 2], MUTATION, rng), cross(space, a[n // 2 :], b[n // 2 :], rng)]
            )

        fitting = _fitting(archive, limits, children)
        if len(fitting) == 0:
            return
        found, _ = archive.evaluate(fitting)
        population, accuracy = np.concatenate([parents, fitting]), np.concatenate([parents_accuracy, found])


def _fitting(archive: Archive, limits: np.ndarray, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """Draw at most `POPULATION` networks (k, d) that meet the limits, from at most `REDRAWS` draws of that many."""
    kept = [np.zeros((0, archive.codes.shape[1]), np.int8)]
    for _ in range(REDRAWS):
        codes = draw(POPULATION)
        kept.append(codes[overshoot(costs_of(archive.space, archive.devices, codes), limits) <= 1])
        if sum(map(len, kept)) >= POPULATION:
            break
    return np.concatenate(kept)[:POPULATION]
