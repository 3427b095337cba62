"""How many evaluations a training may take, and what its generator is worth beside NSGA-II with as many. No torch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from explorer.core.front import hypervolume
from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace
from explorer.devices.population import cheapest, costs_of
from explorer.generators.runtime import BudgetGenerator
from explorer.searches import search

USUAL, MANY = 20_000, 100_000  # evaluations of a training; where they are cheap
CHEAP = 2e-4  # seconds per network: a predictor takes 1e-5, images take 1e-2 or more
TIMED, BUDGETS = 256, 100


def is_cheap(space: SearchSpace, evaluator: Evaluator) -> bool:
    """Time an evaluator: whether it takes at most `CHEAP` seconds per network, on the median of three populations."""
    codes = space.sample(TIMED, np.random.default_rng(0))
    start = time.perf_counter()
    evaluator.evaluate(codes[:1])
    if time.perf_counter() - start > 100 * CHEAP:  # one network is enough to know an expensive evaluator
        return False
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        evaluator.evaluate(codes)
        seconds.append((time.perf_counter() - start) / TIMED)
    return sorted(seconds)[1] <= CHEAP


def beside_nsga2(
    generator: BudgetGenerator, devices: Sequence[Device], evaluations: int, seed: int, progress: Progress
) -> dict[str, Any]:
    """Compare a generator's networks for budgets over the first device's range with NSGA-II's front.

    Args:
        generator: a trained generator.
        devices: the devices that it was trained for.
        evaluations: evaluations that NSGA-II gets, as many as the training took.
        seed: random seed of NSGA-II.
        progress: reports the search.

    Returns:
        The hypervolumes "generated" and "nsga2" up to a common corner, with "device", "budgets" and "evaluations".
    """
    space, evaluator, device = generator.space, generator.evaluator, devices[0]
    found = search(space, evaluator, [device], "nsga2", evaluations, seed, progress)
    low = float(device.cost(space, cheapest(space, device)[None])[0])
    limits = np.full((BUDGETS, len(generator.devices)), np.nan)
    column = [d.name for d in generator.devices].index(device.name)
    limits[:, column] = np.geomspace(low, max(float(found.costs.max()), 1.01 * low), BUDGETS)
    made = generator.select(limits)
    costs = costs_of(space, [device], made.codes)
    corner = (
        1.1 * max(1 - float(found.accuracy.min()), 1 - float(made.accuracy.min())),
        1.1 * max(float(found.costs.max()), float(costs.max())),
    )
    return {
        "device": device.name, "budgets": BUDGETS, "evaluations": evaluations,
        "generated": hypervolume(made.accuracy, costs, corner),
        "nsga2": hypervolume(found.accuracy, found.costs, corner),
    }  # fmt: skip
