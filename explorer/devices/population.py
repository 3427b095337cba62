"""Costs and limits of populations: what networks cost, whether they fit a budget, and the nearest one that can.

Limits are (n, m), one row per request and one column per device, NaN where a device is free. numpy only.
"""

from collections.abc import Sequence

import numpy as np

from explorer.core.protocols import Device, SearchSpace
from explorer.spaces.operators import neighbours


def costs_of(space: SearchSpace, devices: Sequence[Device], codes: np.ndarray) -> np.ndarray:
    """(n, d) -> (n, m), one column per device."""
    if not devices:
        return np.zeros((len(codes), 0))
    return np.column_stack([device.cost(space, codes) for device in devices])


def overshoot(costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Largest cost / limit over the bounded devices: at most 1 means that the budget is met; 0 where none is bounded.

    Args:
        costs: (..., m).
        limits: (..., m), NaN where free.
    """
    ratio = costs / limits
    ratio = np.where(np.isfinite(ratio) & (limits > 0), ratio, np.inf)  # an unknown cost meets no budget
    return np.where(np.isnan(limits), 0.0, ratio).max(-1)


def nearest(space: SearchSpace, devices: Sequence[Device], limits: np.ndarray) -> np.ndarray:
    """(d,) the architecture whose largest cost / limit is least: the cheapest, or the nearest reachable one.

    Descends from the best of the first option everywhere and a fixed draw, one gene at a time, until nothing helps:
    no better one is known for any shipped device; one whose blocks act on each other's cost may have a better one.
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
    """(d,) the cheapest architecture on one device."""
    return nearest(space, [device], np.ones(1))


def dearest(space: SearchSpace, device: Device) -> np.ndarray:
    """(d,) the dearest architecture on one device: climbs from the last option everywhere, one gene at a time."""
    best = space.canonical(np.array([[len(options) - 1 for options in space.decisions.values()]], np.int8))[0]
    while True:
        around = neighbours(space, best)
        costs = device.cost(space, around)
        if costs.max() <= costs[0]:
            return best
        best = around[costs.argmax()]
