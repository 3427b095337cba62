"""Fixed budgets and the best network known for each, its expert. numpy only.

A budget bounds one device of a family or several. Budgets are near each other where the same networks meet them, by
whatever devices.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from explorer.core.protocols import Evaluator, SearchSpace

PROBES = 256  # networks by which budgets are compared
CLOSE = -0.4, 0.8  # logarithms of cost / limit beyond which networks count alike
SLACK = 0.3  # joint limits are up to this share above the costs of a network
FREE = 0.01  # share of the budgets that bound nothing


@dataclass(frozen=True)
class Budgets:
    """n budgets, each on up to k devices of a family.

    Attributes:
        device: (n, k) index of the device; arbitrary where `limit` is NaN.
        limit: (n, k) largest allowed cost, NaN where unused.
    """

    device: np.ndarray
    limit: np.ndarray

    def __len__(self) -> int:
        return len(self.device)

    def take(self, rows: np.ndarray) -> Budgets:
        """Return the budgets at `rows`."""
        return Budgets(self.device[rows], self.limit[rows])

    def scaled(self, factor: np.ndarray | float) -> Budgets:
        """Return the same budgets with limits multiplied by a factor."""
        return Budgets(self.device, self.limit * factor)

    def met(self, costs: np.ndarray) -> np.ndarray:
        """Whether networks meet the budgets, one network per budget: (n, F) costs -> (n,) bool."""
        own = np.take_along_axis(costs, self.device, 1)
        return np.asarray((np.isnan(self.limit) | (own <= self.limit)).all(1))

    def met_by_each(self, costs: np.ndarray) -> np.ndarray:
        """Whether each of N networks meets each budget: (N, F) costs -> (n, N) bool."""
        fits = np.ones((len(self), len(costs)), bool)
        for device, limit in zip(self.device.T, self.limit.T):
            fits &= np.isnan(limit)[:, None] | (limit[:, None] >= costs[:, device].T)
        return fits

    @staticmethod
    def sample(
        n: int, among: np.ndarray, most: int, low: np.ndarray, high: np.ndarray, costs: np.ndarray,
        rng: np.random.Generator, count: int | None = None,
    ) -> Budgets:  # fmt: skip
        """Sample budgets: half on one device, log-uniform over its range; half on several, near a network's costs.

        Args:
            n: number of budgets.
            among: indices of the devices to choose from.
            most: largest number of devices of a budget; the number of columns.
            low, high: (F,) ends of the devices' ranges.
            costs: (N, F) costs of networks of all sizes.
            rng: source of all random numbers.
            count: number of devices of every budget, if it is not to be random.
        """
        order = rng.permuted(np.tile(among, (n, 1)), axis=1)[:, :most]
        device = np.pad(order, ((0, 0), (0, max(0, most - order.shape[1]))))
        if count is None:
            several = (rng.random(n) < 0.5) & (len(among) > 1)
            bounded = np.where(several, rng.integers(2, max(2, min(most, len(among))) + 1, n), 1)
            bounded[rng.random(n) < FREE] = 0
        else:
            several, bounded = np.full(n, count > 1), np.full(n, count)
        one = np.exp(np.log(low[device]) + rng.random(device.shape) * np.log(high / low)[device])
        base = costs[rng.integers(0, len(costs), n)[:, None], device] * (1 + SLACK * rng.random(device.shape))
        limit = np.where(several[:, None], base, one)
        return Budgets(device, np.where(np.arange(most) < bounded[:, None], limit, np.nan))


class Experts:
    """Budgets and the best known network for each.

    Args:
        space: the search space.
        evaluator: gives the accuracies.
        price: (n, d) codes -> (n, F) costs on the family, NaN without a price.
        needed: number of first devices on which a network must have a price to be an expert at all.
        budgets: the budgets.
        probes: (p, d) networks by which budgets are compared.
        neighbours: number of near budgets that each budget shares candidates with.
    """

    def __init__(
        self, space: SearchSpace, evaluator: Evaluator, price: Callable[[np.ndarray], np.ndarray], needed: int,
        budgets: Budgets, probes: np.ndarray, neighbours: int,
    ) -> None:  # fmt: skip
        self.evaluator, self.price, self.needed, self.budgets = evaluator, price, needed, budgets
        n = len(budgets)
        self.codes = np.zeros((n, len(space.decisions)), np.int8)
        self.accuracy = np.full(n, -1.0)
        self.near = nearest_rows(_closeness(budgets, price(probes)), 2 * neighbours)
        self.shared = self.near[:, :neighbours]
        self.evaluations = 0

    def improve(self, codes: np.ndarray) -> None:
        """Update the experts with (n, d) candidates, one per budget.

        Each budget considers its own candidate and those of its neighbours.
        """
        accuracy, costs = self._score(codes)
        for source in [np.arange(len(codes)), *self.shared.T]:
            better = (accuracy[source] > self.accuracy) & self.budgets.met(costs[source])
            self.codes[better] = codes[source[better]]
            self.accuracy[better] = accuracy[source[better]]

    def consider(self, codes: np.ndarray, block: int = 256) -> None:
        """Update the experts with any number of candidates, each considered for every budget."""
        accuracy, costs = self._score(codes)
        for start in range(0, len(self.budgets), block):
            rows = np.arange(start, min(start + block, len(self.budgets)))
            value = np.where(self.budgets.take(rows).met_by_each(costs), accuracy, -1.0)
            best = value.argmax(1)
            value = value[np.arange(len(best)), best]
            better = value > self.accuracy[rows]
            self.codes[rows[better]] = codes[best[better]]
            self.accuracy[rows[better]] = value[better]

    def _score(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.evaluations += len(codes)
        costs = self.price(codes)
        priced = ~np.isnan(costs[:, : self.needed]).any(1)
        return np.where(priced, np.asarray(self.evaluator.evaluate(codes)), -1.0), costs


def _closeness(budgets: Budgets, costs: np.ndarray) -> np.ndarray:
    """Compute how far probes are beyond each budget: (p, F) costs -> (n, p) clipped logarithms of cost / limit."""
    furthest = np.full((len(budgets), len(costs)), CLOSE[0], np.float32)
    for device, limit in zip(budgets.device.T, budgets.limit.T):
        with np.errstate(invalid="ignore", divide="ignore"):
            beyond = np.log(costs[:, device].T / limit[:, None])
        furthest = np.fmax(furthest, np.clip(beyond, *CLOSE).astype(np.float32))
    return furthest


def nearest_rows(code: np.ndarray, k: int, block: int = 512) -> np.ndarray:
    """Find the k nearest other rows of each row, nearest first: (n, C) -> (n, k)."""
    square = (code**2).sum(1)
    found = []
    for start in range(0, len(code), block):
        rows = code[start : start + block]
        distance = square[None] - 2 * rows @ code.T
        distance[np.arange(len(rows)), start + np.arange(len(rows))] = np.inf
        part = np.argpartition(distance, k, axis=1)[:, :k]
        order = np.take_along_axis(distance, part, 1).argsort(1, kind="stable")
        found.append(np.take_along_axis(part, order, 1))
    return np.concatenate(found)
