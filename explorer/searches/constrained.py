"""`constrained`: once-for-all's evolutionary search for the most accurate network within a budget (Cai et al. 2020).

One run per budget. Population 100; the best quarter become parents; half of the children are mutations of one parent,
half uniform crossovers of two. Once-for-all redraws a child until it meets the budget; here the number of draws is
limited (`REDRAWS`), so a generation can have fewer children. A run with fewer than 10,000 evaluations has a population
of the square root of their number, and a first one of all sizes, as the other published algorithms do here.
"""

from collections.abc import Callable

import numpy as np

from explorer.core.protocols import Progress, silent
from explorer.devices.population import cheapest, costs_of, dearest, nearest, overshoot
from explorer.searches.archive import Archive, ladder
from explorer.spaces.operators import cross, mutate

POPULATION, LEAST, MUTATION, REDRAWS = 100, 10, 0.1, 20
BUDGETS = 10  # number of runs if no budget is given, with budgets spread over the first device's range
PASSES = 6  # the most often that runs with budgets between the earlier ones use up what evaluations are left


def constrained(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Run once under the archive's budgets; without any, for budgets over the whole range of the first device.

    These are `BUDGETS` at first; evaluations that their runs leave go to runs for budgets between them.
    """
    if not np.isnan(archive.limits).all():
        _evolve(archive, archive.limits, archive.evaluations, rng, progress)
        return
    space, device = archive.space, archive.devices[0]
    low, high = (float(device.cost(space, end(space, device)[None])[0]) for end in (cheapest, dearest))
    rungs = [np.geomspace(min(1.05 * low, high), high, BUDGETS)]
    for _ in range(1, PASSES):
        known = np.sort(np.concatenate(rungs))
        rungs.append(np.sqrt(known[:-1] * known[1:]))
    for i, own in enumerate(rungs):
        said = "searching (one run per budget)" if i == 0 else "searching between these budgets"
        for number, rung in enumerate(progress(own.tolist(), len(own), said)):
            limits = np.full(len(archive.devices), np.nan)
            limits[0] = rung
            _evolve(archive, limits, archive.left // (len(own) - number), rng, silent)
        if archive.left <= 0:
            return


def _evolve(
    archive: Archive, limits: np.ndarray, evaluations: int, rng: np.random.Generator, progress: Progress
) -> None:
    space, until = archive.space, archive.count + evaluations
    size = int(np.clip(np.sqrt(evaluations), LEAST, POPULATION))
    first = space.sample if size == POPULATION else lambda n, rng: ladder(space, n, rng)
    population = _fitting(archive, limits, size, lambda n: first(n, rng))
    if len(population) == 0:
        population = nearest(space, archive.devices, limits)[None]
    accuracy, _ = archive.evaluate(population)
    rounds = max(1, evaluations // size)
    for _ in progress(range(2 * rounds), rounds, "searching"):
        if archive.count >= until:
            return
        best = np.argsort(-accuracy, kind="stable")[: size // 4]
        parents, parents_accuracy = population[best], accuracy[best]

        def children(n: int, parents: np.ndarray = parents) -> np.ndarray:
            a, b = parents[rng.integers(0, len(parents), (2, n))]
            return np.concatenate(
                [mutate(space, a[: n // 2], MUTATION, rng), cross(space, a[n // 2 :], b[n // 2 :], rng)]
            )

        fitting = _fitting(archive, limits, size, children)
        if len(fitting) == 0:
            return
        found, _ = archive.evaluate(fitting)
        population, accuracy = np.concatenate([parents, fitting]), np.concatenate([parents_accuracy, found])


def _fitting(archive: Archive, limits: np.ndarray, size: int, draw: Callable[[int], np.ndarray]) -> np.ndarray:
    """Draw at most `size` networks (k, d) that meet the limits, from at most `REDRAWS` draws of that many."""
    kept = [np.zeros((0, archive.codes.shape[1]), np.int8)]
    for _ in range(REDRAWS):
        codes = draw(size)
        kept.append(codes[overshoot(costs_of(archive.space, archive.devices, codes), limits) <= 1])
        if sum(map(len, kept)) >= size:
            break
    return np.concatenate(kept)[:size]
