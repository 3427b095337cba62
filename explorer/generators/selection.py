"""Budget enforcement: among a fixed pool of networks, the most accurate one that meets the limits. numpy only.

Every request chooses from the same pool. So larger limits never give a less accurate network, and a network depends on
its limits alone: not on the other requests, nor on their order. Limits are checked against the costs that the devices
compute, never against a generator's estimate. If nothing in the pool meets them, the nearest reachable network is
returned instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from explorer.core.errors import InputError
from explorer.core.front import nondominated
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices.population import costs_of, meets, nearest, overshoot

REQUESTS, NETWORKS = 1024, 512  # compared at once, so that the comparisons stay in the processor's cache


@dataclass(frozen=True)
class Selection:
    """The selected network for each of n requests.

    Attributes:
        codes: (n, d) int8 architectures.
        accuracy: (n,) accuracy given by the evaluator.
        costs: (n, m), one column per device.
        feasible: (n,) bool: the network meets every limit.
        fallback: (n,) bool: nothing in the pool met the limits, so the nearest reachable network was taken.
    """

    codes: np.ndarray
    accuracy: np.ndarray
    costs: np.ndarray
    feasible: np.ndarray
    fallback: np.ndarray


class Pool:
    """Networks from which every request is answered, the most accurate first.

    Args:
        space, devices: used to compute the costs; there is one column of limits per device.
        evaluator: gives the accuracies.
        codes: (u, d) int8, canonical. Networks without a cost on some device, and those that another one equals or
            beats in accuracy and in every cost, are left out.
        complete: these are all networks of the space, so the nearest reachable one is among them.

    Attributes:
        codes: (p, d) int8, distinct.
        accuracy: (p,) descending.
        costs: (p, m).
    """

    def __init__(
        self, space: SearchSpace, devices: Sequence[Device], evaluator: Evaluator, codes: np.ndarray,
        complete: bool = False,
    ) -> None:  # fmt: skip
        self.space, self.devices, self.evaluator, self.complete = space, list(devices), evaluator, complete
        codes = distinct_rows(codes)
        costs = costs_of(space, devices, codes)
        priced = ~np.isnan(costs).any(1)
        codes, costs = codes[priced], costs[priced]
        accuracy = np.asarray(evaluator.evaluate(codes), float) if len(codes) else np.zeros(0)
        kept = nondominated(accuracy, costs) if len(codes) else np.arange(0)
        order = kept[np.argsort(-accuracy[kept], kind="stable")]
        self.codes, self.accuracy, self.costs = codes[order], accuracy[order], costs[order]

    def __len__(self) -> int:
        return len(self.codes)

    def first(self, limits: np.ndarray) -> np.ndarray:
        """Find the most accurate network within each of (n, m) limits: (n,) its row in the pool, -1 where none fits."""
        bounds = np.where(np.isnan(limits), np.inf, limits)
        found = np.full(len(bounds), -1)
        for begin in range(0, len(bounds), REQUESTS):
            left = np.arange(begin, min(begin + REQUESTS, len(bounds)))
            for start in range(0, len(self), NETWORKS):
                if not len(left):
                    break
                costs = self.costs[start : start + NETWORKS]
                fits = np.ones((len(left), len(costs)), bool)
                for j in range(bounds.shape[1]):
                    if np.isfinite(bounds[left, j]).any():
                        fits &= costs[None, :, j] <= bounds[left, None, j]
                at = fits.argmax(1)
                hit = fits[np.arange(len(left)), at]
                found[left[hit]] = start + at[hit]
                left = left[~hit]
        return found

    def select(self, limits: np.ndarray) -> Selection:
        """Select the most accurate network that meets the limits, for each request.

        Args:
            limits: (n, m), one column per device, NaN where unconstrained.

        Raises:
            InputError: there is not one column per device.
        """
        limits = as_limits(limits, self.devices)
        row = self.first(limits)
        fallback = row < 0
        if not fallback.any():
            codes, accuracy, costs = self.codes[row], self.accuracy[row], self.costs[row]
            return Selection(codes, accuracy, costs, np.ones(len(row), bool), fallback)
        codes = np.zeros((len(row), len(self.space.decisions)), np.int8)
        accuracy, costs = np.zeros(len(row)), np.zeros((len(row), len(self.devices)))
        codes[~fallback], accuracy[~fallback] = self.codes[row[~fallback]], self.accuracy[row[~fallback]]
        costs[~fallback] = self.costs[row[~fallback]]
        codes[fallback] = [self._nearest(one) for one in limits[fallback]]
        accuracy[fallback] = self.evaluator.evaluate(codes[fallback])
        costs[fallback] = costs_of(self.space, self.devices, codes[fallback])
        return Selection(codes, accuracy, costs, meets(costs, limits), fallback)

    def cheapest(self, accuracy: float, column: int, limits: np.ndarray) -> Selection:
        """Select the network with the lowest cost on one device that is accurate enough and meets the limits.

        Lower accuracies and larger limits never give a costlier network. If no network of the pool is accurate enough
        within the limits, the most accurate one within them is returned instead, with `feasible` False; if none is
        within them, the nearest reachable one.

        Args:
            accuracy: least accuracy, in [0, 1].
            column: the device whose cost is minimised.
            limits: (m,), one per device, NaN where unconstrained.

        Returns:
            One network.
        """
        fits = np.flatnonzero((self.accuracy >= accuracy) & meets(self.costs, limits[None]))
        if not len(fits):
            found = self.select(limits[None])
            return replace(found, feasible=found.feasible & (found.accuracy >= accuracy))
        row = fits[[self.costs[fits, column].argmin()]]  # of equally cheap ones the most accurate
        return Selection(self.codes[row], self.accuracy[row], self.costs[row], np.ones(1, bool), np.zeros(1, bool))

    def _nearest(self, limits: np.ndarray) -> np.ndarray:
        """Return the network (d,) with the smallest overshoot of (m,) limits; of equal ones the most accurate."""
        over = overshoot(self.costs, limits)
        own = int(over.argmin())
        if self.complete:
            return np.asarray(self.codes[own])
        found = nearest(self.space, self.devices, limits)
        least = overshoot(costs_of(self.space, self.devices, found[None]), limits)[0]
        return np.asarray(self.codes[own]) if over[own] <= least else found


def as_limits(limits: np.ndarray, devices: Sequence[Device]) -> np.ndarray:
    """Check limits and return them as (n, m) float.

    Raises:
        InputError: there is not one column per device.
    """
    table = np.atleast_2d(np.asarray(limits, float))
    if table.ndim != 2 or table.shape[1] != len(devices):
        names = ", ".join(device.name for device in devices)
        raise InputError(
            f"limits have shape {table.shape}; expected (n, {len(devices)}), one column for each of {names}"
        )
    return table


def distinct_rows(codes: np.ndarray) -> np.ndarray:
    """Drop repeated rows of an int8 array, keeping the order of first appearance; faster than `operators.unique`."""
    rows: Any = np.ascontiguousarray(codes)
    packed = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    return codes[np.sort(np.unique(packed, return_index=True)[1])]
