"""Costs of populations and budgets: price networks, check budgets, and find the architecture nearest to a budget.

Limits are (n, m): one row per budget, one column per device, NaN where a device is unconstrained. Needs only numpy.
"""

from collections.abc import Sequence

import numpy as np

from explorer.core.errors import InputError
from explorer.core.protocols import Device, SearchSpace
from explorer.devices.base import NoPrice
from explorer.spaces.operators import neighbours, unique

BEAM, STILL = 16, 4  # architectures that are kept, and rounds without a gain, where costs may be no sums


def prices(space: SearchSpace, device: Device, codes: np.ndarray) -> np.ndarray:
    """Price architectures on one device: (n, d) -> (n,), NaN where the device has no price for one of the layers."""
    try:
        return np.asarray(device.cost(space, codes), float)
    except NoPrice as error:
        if error.costs is None:
            raise
        return error.costs


def costs_of(space: SearchSpace, devices: Sequence[Device], codes: np.ndarray) -> np.ndarray:
    """Price architectures on several devices: (n, d) -> (n, m), one column per device; see `prices`."""
    if not devices:
        return np.zeros((len(codes), 0))
    return np.column_stack([prices(space, device, codes) for device in devices])


def priced(space: SearchSpace, devices: Sequence[Device], codes: np.ndarray) -> np.ndarray:
    """Return those of (n, d) architectures that have a cost on every device.

    Raises:
        InputError: none has; the message names the layer that a device has no price for.
    """
    kept = codes[~np.isnan(costs_of(space, devices, codes)).any(1)]
    if len(codes) and not len(kept):
        for device in devices:
            device.cost(space, codes)  # names what is missing
        names = ", ".join(repr(device.name) for device in devices)
        raise InputError(f"devices {names} together have no cost for any of {len(codes)} networks of the space")
    return kept


def overshoot(costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return the largest cost / limit over the limited devices: <= 1 where the budget is met, 0 without limits.

    Args:
        costs: (..., m).
        limits: (..., m), NaN where unconstrained.
    """
    ratio = costs / limits
    ratio = np.where(np.isfinite(ratio) & (limits > 0), ratio, np.inf)  # an unknown cost meets no budget
    return np.where(np.isnan(limits), 0.0, ratio).max(-1)


def meets(costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Whether networks meet their budgets and have a cost on every device, limited or free; shapes as in `overshoot`.

    Networks that a device has no price for are never generated, because their cost could not be told.
    """
    return np.asarray((overshoot(costs, limits) <= 1) & ~np.isnan(costs).any(-1))


def nearest(space: SearchSpace, devices: Sequence[Device], limits: np.ndarray) -> np.ndarray:
    """Return the architecture (d,) that minimises the largest cost / limit: the cheapest, or the nearest reachable.

    The search starts from the best of a fixed random sample and the architecture with all first options, and changes
    one gene at a time until nothing improves. For devices whose costs are sums no better result is known. Where a cost
    may be something else, such as a maximum, one change alone often gains nothing; there the search keeps the best
    `BEAM` architectures, those that are equally good among them, until nothing improves for `STILL` rounds.

    Raises:
        InputError: none of the sampled networks has a cost on every device.
    """

    def ratio(codes: np.ndarray) -> np.ndarray:
        costs = costs_of(space, devices, codes)
        return np.where(np.isnan(costs).any(1), np.inf, overshoot(costs, limits))

    pool = np.concatenate([
        space.canonical(np.zeros((1, len(space.decisions)), np.int8)), space.sample(256, np.random.default_rng(0))
    ])  # fmt: skip
    pool = priced(space, devices, pool)
    sums = all(getattr(device, "additive", False) for device, limit in zip(devices, limits) if not np.isnan(limit))
    beam, patience, rng = (1, 1, None) if sums else (BEAM, STILL, np.random.default_rng(0))
    kept = pool[np.argsort(ratio(pool), kind="stable")[:beam]]
    best, still = ratio(kept[:1])[0], 0
    while still < patience:
        around = unique(np.concatenate([neighbours(space, row) for row in kept]))
        if rng is not None:
            around = around[rng.permutation(len(around))]  # equally good ones take turns
        values = ratio(around)
        kept = around[np.argsort(values, kind="stable")[:beam]]
        still = still + 1 if values.min() >= best else 0
        best = min(best, values.min())
    return kept[0]


def cheapest(space: SearchSpace, device: Device) -> np.ndarray:
    """Return the cheapest architecture on one device, (d,)."""
    return nearest(space, [device], np.ones(1))


def dearest(space: SearchSpace, device: Device) -> np.ndarray:
    """Return the most expensive architecture on one device, (d,): changes one gene at a time, from all last options."""
    last = space.canonical(np.array([[len(options) - 1 for options in space.decisions.values()]], np.int8))
    if np.isnan(prices(space, device, last)[0]):
        last = priced(space, [device], space.sample(256, np.random.default_rng(0)))
        last = last[[prices(space, device, last).argmax()]]
    best = last[0]
    while True:
        around = neighbours(space, best)
        costs = np.nan_to_num(prices(space, device, around), nan=-np.inf)
        if costs.max() <= costs[0]:
            return best
        best = around[costs.argmax()]
