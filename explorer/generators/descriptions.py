"""Devices described by numbers, so that a generator can answer for a device that it never saw.

A device is described by its costs of fixed reference networks of the space: the smallest one, and all networks that
differ in one decision from the largest or from a middle one. So nothing but `device.cost` is needed, and costs that are
no sums over layers have a description too. Numbers are positions on the device's log scale, from the cheapest (0) to
the dearest (1) reference network, and do not depend on its unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core.protocols import Device, SearchSpace
from explorer.devices.population import costs_of
from explorer.spaces.operators import neighbours, option_counts

STEEP = 10.0  # one decision moves the cost by a tenth of the range at most: brings the numbers to about 1
UNPRICED = 1.5  # position of a network that the device has no price for: dearer than all others


@dataclass(frozen=True)
class Descriptions:
    """Descriptions of m devices.

    Attributes:
        low, high: (m,) cost of the cheapest and of the dearest reference network, in the device's unit.
        features: (m, R) float32.
        usable: (m,) bool: costs are above 0 and differ, so budgets on the device have a position.
    """

    low: np.ndarray
    high: np.ndarray
    features: np.ndarray
    usable: np.ndarray


class Reference:
    """The reference networks of a space.

    Attributes:
        codes: (r, d) int8; around the largest network, around the middle one, and the smallest.
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space, counts = space, option_counts(space)
        middle, largest, smallest = space.canonical(
            np.array([(counts - 1) // 2, counts - 1, np.zeros_like(counts)], np.int8)
        )
        around = [neighbours(space, largest), neighbours(space, middle)]
        self._ends = np.cumsum([len(codes) for codes in around])
        self.codes = np.concatenate([*around, smallest[None]])

    @property
    def width(self) -> int:
        """Number of features of a device: one per reference network; the smallest one's is the span of the scale."""
        return len(self.codes)

    def of(self, devices: Sequence[Device]) -> Descriptions:
        """Describe devices."""
        return self.describe(costs_of(self.space, devices, self.codes))

    def describe(self, costs: np.ndarray) -> Descriptions:
        """Describe m devices by (r, m) costs of the reference networks, NaN where a device has no price."""
        known = np.where(np.isnan(costs), np.inf, costs)
        low, high = known.min(0), np.where(np.isnan(costs), -np.inf, costs).max(0)
        usable = (low > 0) & (low < high) & np.isfinite(low) & np.isfinite(high)
        bottom, top = np.where(usable, low, 1.0), np.where(usable, high, 2.0)
        at = (np.log(np.where(usable & (known > 0), known, 1.0)) - np.log(bottom)) / np.log(top / bottom)
        at = np.where(np.isfinite(at), at, UNPRICED)
        parts, start = [], 0
        for end in self._ends:  # the first network of each group is the one that the others differ from
            parts += [STEEP * (at[start + 1 : end] - at[start]), at[start : start + 1]]
            start = int(end)
        features = np.concatenate([*parts, np.log(top / bottom)[None]]).T
        return Descriptions(low, high, np.where(usable[:, None], features, 0).astype(np.float32), usable)
