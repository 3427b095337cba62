"""Comparison of several generators on the same budgets: accuracy, hypervolume, budget violations and speed."""

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from explorer.core.front import hypervolume, kendall_tau, nondominated
from explorer.core.protocols import Device, SearchSpace
from explorer.devices import is_target
from explorer.devices.population import costs_of, priced
from explorer.generators.runtime import BudgetGenerator

BUDGETS = 300


def held_out_budgets(space: SearchSpace, devices: Sequence[Device], n: int = BUDGETS, seed: int = 303) -> np.ndarray:
    """Sample (n, m) limits on target devices that generators were not trained on.

    Half of the requests bound one target, the other half all targets, each 0-30 % above the cost of a random network.
    If no device is a target, counts (such as MACs) are bounded instead.
    """
    rng = np.random.default_rng(seed)
    targets = [i for i, device in enumerate(devices) if is_target(device)] or list(range(len(devices)))
    sampled = priced(space, devices, space.sample(n, rng))
    costs = costs_of(space, devices, np.resize(sampled, (n, sampled.shape[1]))) * (
        1 + 0.3 * rng.random((n, len(devices)))
    )
    limits = np.full((n, len(devices)), np.nan)
    for row in range(n):
        columns = targets if row % 2 else [targets[rng.integers(len(targets))]]
        limits[row, columns] = costs[row, columns]
    return limits


def by_accuracy(
    space: SearchSpace, generators: Sequence[BudgetGenerator], devices: Sequence[Device]
) -> list[tuple[BudgetGenerator, float]]:
    """Rank generators by the mean predicted accuracy of their networks on held-out budgets, best first.

    Returns:
        (generator, mean accuracy) pairs.
    """
    limits = held_out_budgets(space, devices)
    means = [float(g.select(limits).accuracy.mean()) for g in generators]
    order = np.argsort([-m for m in means], kind="stable")
    return [(generators[i], means[i]) for i in order]


def side_by_side(
    generators: Sequence[BudgetGenerator], device: str, budgets: np.ndarray, corner: Sequence[float]
) -> pd.DataFrame:
    """Compare generators of one study on the same budgets of one device.

    Args:
        generators: generators of one space, with the same devices.
        device: name of the device that the budgets bound.
        budgets: (n,) in the device's unit.
        corner: (error, cost) reference point of the hypervolume.

    Returns:
        One row per generator: generator, parameters, evaluations (of its training; NaN where its file does not say),
        raw_met (share of raw networks within their budget), met (the same after selection), raw_error (mean relative
        distance of the raw network's cost to the budget less the margin), tau (Kendall's tau of these two), accuracy
        (mean, predicted), hypervolume, and ms per network.
    """
    rows = []
    for generator in generators:
        names = [d.name for d in generator.devices]
        column, space = names.index(device), generator.space
        limits = np.full((len(budgets), len(names)), np.nan)
        limits[:, column] = budgets
        generator.select(limits[:2])  # its pool is made, once for all budgets, before timing
        start = time.perf_counter()
        kept = generator.select(limits)
        seconds = time.perf_counter() - start
        raw = generator.devices[column].cost(space, generator.generate(limits, samples=1))
        asked = budgets * (1 - generator.margin)
        front = nondominated(kept.accuracy, kept.costs[:, [column]])
        rows.append({
            "generator": generator.method, "parameters": generator.parameters,
            "evaluations": float(generator.about.get("evaluations", np.nan)), "raw_met": (raw <= budgets).mean(),
            "met": kept.feasible.mean(), "raw_error": np.abs(raw / asked - 1).mean(), "tau": kendall_tau(raw, asked),
            "accuracy": kept.accuracy.mean(),
            "hypervolume": hypervolume(kept.accuracy[front], kept.costs[front][:, [column]], corner),
            "ms": 1000 * seconds / len(budgets),
        })  # fmt: skip
    return pd.DataFrame(rows)
