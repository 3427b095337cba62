"""Generators that answer in one forward pass: a softmax per decision, for any number of budgets at once. No torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from explorer.core.errors import InputError
from explorer.devices.population import costs_of
from explorer.generators.layout import layout
from explorer.generators.runtime import BudgetGenerator
from explorer.spaces.operators import option_counts


class OnePassGenerator(BudgetGenerator):
    """A generator whose graph is `code (n, C) -> logits (n, D)`: one logit per option, decisions in gene order."""

    def _setup(self, about: dict[str, Any]) -> int:
        self._options = [int(o) for o in about["options"]]
        if self._options != option_counts(self.space).tolist():
            raise InputError(
                f"this generator makes {len(self._options)} decisions, not the {len(self.space.decisions)} of space "
                f"{self.space.name!r}"
            )
        return len(self._options)

    def _logits(self, limits: np.ndarray) -> np.ndarray:
        """Compute the logits of all options: (n, m) limits -> (n, D)."""
        logits: Any = self._session.run(None, {"code": self.code(limits)})[0]
        return np.asarray(logits)

    def _roll(self, limits: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Take the most probable option of every decision, and sample every decision on its own."""
        logits = self._logits(limits)
        row = np.repeat(np.arange(len(limits)), 1 + draws)
        heat = np.tile(np.arange(1 + draws) > 0, len(limits))[:, None]
        codes = np.zeros((len(row), len(self._options)), np.int8)
        at = 0
        for gene, options in enumerate(self._options):
            own = logits[row, at : at + options]
            codes[:, gene] = (own + heat * rng.gumbel(size=own.shape) if draws else own).argmax(1)
            at += options
        return row, codes


class PriorGenerator(OnePassGenerator):
    """SGNAS's generator, whose graph also reads a prior network, `prior (n, 1, rows, columns)`.

    The prior is the mean of stored networks near the budget.
    """

    def _setup(self, about: dict[str, Any]) -> int:
        decisions = super()._setup(about)
        self._map = layout(self.space)
        priors = np.array(about["priors"], np.int8)
        self._priors = self._map.one_hot(priors)
        by_name = {device.name: device for device in self.devices}
        self._prior_costs = costs_of(self.space, [by_name[n] for n in self.code.devices if n in by_name], priors)
        return decisions

    def _logits(self, limits: np.ndarray) -> np.ndarray:
        prior = prior_around(self._priors, self._prior_costs, limits)
        return np.asarray(self._session.run(None, {"code": self.code(limits), "prior": prior})[0])


def prior_around(maps: np.ndarray, costs: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Average the maps of the prior pool, with the largest weight on those whose cost is close to the limit.

    The result changes smoothly with the limit.

    Args:
        maps: (P, 1, rows, columns), one prior network each.
        costs: (P, m) costs of the priors, one column per device.
        limits: (n, m), NaN where unconstrained.

    Returns:
        (n, 1, rows, columns) float32.
    """
    tightest = np.nan_to_num(costs[None] / limits[:, None], nan=0.0).max(2)
    off = np.log(np.maximum(tightest, 1e-9)) ** 2
    spread = np.ptp(np.log(costs[:, 0])) / max(1, len(costs) - 1) or 1.0
    weight = np.exp((off.min(1, keepdims=True) - off) / (2 * spread**2))
    weight /= weight.sum(1, keepdims=True)
    return np.asarray(np.tensordot(weight, maps, 1), np.float32)
