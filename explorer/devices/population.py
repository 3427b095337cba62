"""Costs of populations and budgets: price networks, check budgets, and find the architecture nearest to a budget.

Limits are (n, m): one row per budget, one column per device, NaN where a device is unconstrained. Needs only numpy.
"""

from collections.abc import Sequence

import numpy as np

from explorer.core.protocols import Device, SearchSpace
from explorer.spaces.operators import neighbours


def costs_of(space: SearchSpace, devices: Sequence[Device], codes: np.ndarray) -> np.ndarray:
    """Price architectures on several devices: (n, d) -> (n, m), one column per device."""
    if not devices:
        return np.zeros((len(codes), 0))
    return np.column_stack([device.cost(space, codes) for device in devices])


def overshoot(costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the largest cost / limit over the limited devices: <= 1 where the budget is met, 0 without limits.

    Args:
        costs: (..., m).
        limits: (..., m), NaN where unconstrained.
    """
    ratio = costs / limits
    ratio = np.where(np.isfinite(ratio) & (limits > 0), ratio, np.inf)  # an unknown cost meets no budget
    return np.where(np.isnan(limits), 0.0, ratio).max(-1)


def nearest(space: SearchSpace, devices: Sequence[Device], limits: np.ndarray) -> np.ndarray:
    """Return the architecture (d,) that minimises the largest cost / limit: the cheapest, or the nearest reachable.

    The search starts from the best of a fixed random sample and the architecture with all first options, and changes
    one gene at a time until nothing improves. For every shipped device no better result is known; for a device whose
    blocks affect each other's cost, there may be one.
    """
    bounded = [i for i in range(len(devices)) if not np.isnan(limits[i])]
    chosen = [devices[i] for i in bounded]
    bound = limits[bounded] if bounded else np.zeros(0)

    def ratio(codes: np.ndarray) -> np.ndarray:
        costs = costs_of(space, chosen, codes)
        return (costs / bound).max(1) if len(chosen) else np.zeros(len(codes))

    pool = np.concatenate([
        space.canonical(np.zeros((1, len(space.decisions)), np.int8)), space.sample(256, np.random.default_rng(0))
    ])  # fmt: skip
    best = pool[ratio(pool).argmin()]
    while True:
        around = neighbours(space, best)
        values = ratio(around)
        if values.min() >= values[0]:
            return best
        best = around[values.argmin()]


def cheapest(space: SearchSpace, device: Device) -> np.ndarray:
    """Return the cheapest architecture on one device, (d,)."""
    return nearest(space, [device], np.ones(1))


def dearest(space: SearchSpace, device: Device) -> np.ndarray:
    """Return the most expensive architecture on one device, (d,): changes one gene at a time, from all last options."""
    best = space.canonical(np.array([[len(options) - 1 for options in space.decisions.values()]], np.int8))[0]
    while True:
        around = neighbours(space, best)
        costs = device.cost(space, around)
        if costs.max() <= costs[0]:
            return best
        best = around[costs.argmax()]
