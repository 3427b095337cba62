"""Which of several generators gives the more accurate networks on budgets that none was trained on."""

from collections.abc import Sequence

import numpy as np

from explorer.generators.runtime import BudgetGenerator
from explorer.limits import costs_of
from explorer.protocols import Device, SearchSpace

BUDGETS, DRAWS = 300, 16


def held_out_budgets(space: SearchSpace, devices: Sequence[Device], n: int = BUDGETS, seed: int = 303) -> np.ndarray:
    """(n, m) limits on what has a latency: half bound one target, half all of them, up to 30 % above a random network.

    A study without latencies is bounded by its counts.
    """
    rng = np.random.default_rng(seed)
    targets = [i for i, device in enumerate(devices) if device.unit == "ms"] or list(range(len(devices)))
    costs = costs_of(space, devices, space.sample(n, rng)) * (1 + 0.3 * rng.random((n, len(devices))))
    limits = np.full((n, len(devices)), np.nan)
    for row in range(n):
        columns = targets if row % 2 else [targets[rng.integers(len(targets))]]
        limits[row, columns] = costs[row, columns]
    return limits


def by_accuracy(
    space: SearchSpace, generators: Sequence[BudgetGenerator], devices: Sequence[Device]
) -> list[tuple[BudgetGenerator, float]]:
    """Generators with the mean predicted accuracy of their networks, best first."""
    limits = held_out_budgets(space, devices)
    means = [float(g.select(limits, np.random.default_rng(0), DRAWS).accuracy.mean()) for g in generators]
    order = np.argsort([-m for m in means], kind="stable")
    return [(generators[i], means[i]) for i in order]
