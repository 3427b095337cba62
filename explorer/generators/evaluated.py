"""Evaluated architectures and the best of them for each request, which a generator can imitate. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.front import nondominated
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices.population import costs_of, overshoot
from explorer.spaces.operators import unique


class EvaluatedNetworks:
    """All architectures evaluated so far, as arrays.

    Attributes:
        codes: (n, d) int8, distinct architectures.
        accuracy: (n,) accuracy given by the evaluator.
        costs: (n, m), one column per device.
    """

    def __init__(self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device]) -> None:
        self.space, self.evaluator, self.devices = space, evaluator, devices
        self.codes = np.zeros((0, len(space.decisions)), np.int8)
        self.accuracy, self.costs = np.zeros(0), np.zeros((0, len(devices)))
        self._best = np.zeros(0, int)  # rows that are not dominated in accuracy and costs
        self._compared = 0
        self._seen: set[bytes] = set()

    def add(self, codes: np.ndarray) -> np.ndarray:
        """Evaluate those of (n, d) canonical architectures that are new and have a cost; return them."""
        new = np.array([row for row in unique(codes) if row.tobytes() not in self._seen], np.int8)
        new = new.reshape(-1, self.codes.shape[1])
        self._seen.update(row.tobytes() for row in new)
        costs = costs_of(self.space, self.devices, new)
        known = ~np.isnan(costs).any(1)
        new, costs = new[known], costs[known]
        if len(new):
            self.codes = np.concatenate([self.codes, new])
            self.accuracy = np.concatenate([self.accuracy, self.evaluator.evaluate(new)])
            self.costs = np.concatenate([self.costs, costs])
        return new

    def experts(self, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the most accurate known architecture within each of (n, m) limits.

        Returns:
            (n, d) int8 architectures, and (n,) bool: whether any known architecture meets the limits.
        """
        if len(self.codes) > 1.1 * self._compared:
            rows = np.concatenate([self._best, np.arange(self._compared, len(self.codes))])
            self._best = rows[nondominated(self.accuracy[rows], self.costs[rows])]
            self._compared = len(self.codes)
        fits = overshoot(self.costs[self._best], limits[:, None, :]) <= 1
        chosen = np.where(fits, self.accuracy[self._best], -1.0).argmax(1)
        return self.codes[self._best[chosen]], np.asarray(fits.any(1))
