"""Encoding of budgets as generator inputs: positions between anchors on a log scale.

For every device, K anchors are spaced evenly over the logarithm of its cost range. A budget between two anchors is
encoded as a mixture of both, so any budget has a code. With several devices, an extra last entry per device marks it as
unconstrained (PNAG, Guo et al. 2022: linear interpolation of budget embeddings).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ANCHORS = 1000  # maximum number of anchors per device


@dataclass(frozen=True)
class BudgetCode:
    """The encoding of limits as budget codes.

    Attributes:
        devices: device names, one per column of the limits.
        low, high: (m,) ends of each device's cost range, in the device's unit.
        anchors: number of anchors K per device.
    """

    devices: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    anchors: int

    def __post_init__(self) -> None:
        """Check the cost ranges and the number of anchors.

        Raises:
            ValueError: no device, an empty or non-positive range, or too few or too many anchors.
        """
        ranges = len(self.devices) == len(self.low) == len(self.high) > 0 and all(
            0 < low < high < np.inf for low, high in zip(self.low, self.high)
        )
        if not ranges or not 2 <= self.anchors <= ANCHORS:
            raise ValueError(
                f"{self.anchors} anchors from {self.low} to {self.high} for devices {self.devices}: expected 2 to "
                f"{ANCHORS} anchors and, for every device, a range above 0"
            )

    @property
    def width(self) -> int:
        """Length of a request's code: K for a single device, K + 1 per device for several."""
        return len(self.devices) * (self.anchors + (len(self.devices) > 1))

    def __call__(self, limits: np.ndarray) -> np.ndarray:
        """Encode limits: (n, m), NaN where unconstrained -> (n, width) float32.

        With a single device, an unconstrained budget is encoded like the highest one.
        """
        limits = np.asarray(limits, float)
        n, m = limits.shape
        free = np.isnan(limits)
        if m == 1:
            limits, free = np.where(free, self.high, limits), np.zeros_like(free)
        code = positions(limits, np.array(self.low), np.array(self.high), self.anchors)
        if m > 1:
            code = np.concatenate([code, free[..., None].astype(np.float32)], 2)
        return code.reshape(n, self.width)

    def sample(self, n: int, costs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Sample (n, m) random limits for training, all of them reachable.

        Half of the requests (all of them if there is only one device) bound one device, log-uniform over its range. The
        others bound a random subset of devices jointly, 0-30 % above the costs of a random architecture.

        Args:
            n: number of requests.
            costs: (N, m) costs of known architectures.
            rng: random number generator.
        """
        m = len(self.devices)
        limits = np.full((n, m), np.nan)
        single = np.arange(n) < (n if m == 1 else n // 2)
        column = rng.integers(0, m, n)
        u = rng.random(n)
        low, high = np.log(self.low), np.log(self.high)
        rows = np.flatnonzero(single)
        limits[rows, column[rows]] = np.exp(low[column] + u * (high - low)[column])[rows]
        rows = np.flatnonzero(~single)
        if len(rows):
            base = costs[rng.integers(0, len(costs), len(rows))] * (1 + 0.3 * rng.random((len(rows), m)))
            keep = rng.random((len(rows), m)) < 0.5
            keep[np.arange(len(rows)), rng.integers(0, m, len(rows))] = True
            limits[rows] = np.where(keep, base, np.nan)
        return limits

    def at_anchors(self, limits: np.ndarray) -> np.ndarray:
        """Move limits (n, m) to the nearest anchor of their device."""
        low, high = np.log(self.low), np.log(self.high)
        at = np.clip((np.log(limits) - low) / (high - low), 0, 1) * (self.anchors - 1)
        return np.asarray(np.exp(low + np.round(at) / (self.anchors - 1) * (high - low)))


def positions(limits: np.ndarray, low: np.ndarray, high: np.ndarray, anchors: int) -> np.ndarray:
    """Encode limits as mixtures of the two nearest of `anchors` points on each device's log scale.

    Args:
        limits: (...) in the devices' units, NaN where unconstrained.
        low, high: (...) ends of the scales.
        anchors: number of points, the ends among them.

    Returns:
        (..., anchors) float32, all 0 where unconstrained.
    """
    free = np.isnan(limits)
    bottom, top = np.log(low), np.log(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = (np.log(np.where(free, 1.0, limits)) - bottom) / np.maximum(top - bottom, 1e-9)
    at = np.clip(np.nan_to_num(at, nan=0.0), 0, 1) * (anchors - 1)
    below = np.minimum(at.astype(int), anchors - 2)
    code = np.zeros((*limits.shape, anchors), np.float32)
    where = np.indices(limits.shape)
    code[(*where, below)] = 1 - (at - below)
    code[(*where, below + 1)] = at - below
    code[free] = 0
    return code
