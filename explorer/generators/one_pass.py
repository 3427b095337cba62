"""Generators that answer in one forward pass: a softmax per decision, for any number of budgets at once. No torch.

Most draws are the most probable network for limits slightly below the requested ones, with a random perturbation per
device. Such a draw is one coherent network; sampling every decision independently would mix several. The remaining
draws do sample every decision.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from explorer.core.errors import InputError
from explorer.devices.population import costs_of
from explorer.generators.layout import layout
from explorer.generators.runtime import BudgetGenerator, Starts
from explorer.spaces.operators import option_counts

LADDER = (-0.02, 0.08)  # the draws lower the limits by these shares, from first to last, in addition to the margin
SHAKE = 0.03  # width of the random perturbation of each device's limit, relative
TEMPERATURE = 1.0


class OnePassGenerator(BudgetGenerator):
    """A generator whose graph is `code (n, C) -> logits (n, D)`: one logit per option, decisions in gene order."""

    sampled = 0.25  # share of the draws that sample every decision

    def _setup(self, about: dict[str, Any]) -> int:
        self._options = [int(o) for o in about["options"]]
        if self._options != option_counts(self.space).tolist():
            raise InputError(
                f"this generator makes {len(self._options)} decisions, not the {len(self.space.decisions)} of space "
                f"{self.space.name!r}"
            )
        return len(self._options)

    def _starts(self, limits: np.ndarray, samples: int, rng: np.random.Generator) -> Starts:
        n, m = limits.shape
        sampled = int(self.sampled * (samples - 1))
        shaken = samples - sampled
        request = np.repeat(np.arange(n), shaken)
        place = np.tile(np.arange(shaken), n)
        ladder = np.concatenate([[0.0], np.linspace(*LADDER, max(shaken - 1, 1))])[place]
        lower = (
            self.margin
            + ladder[:, None]
            + np.where(place > 0, SHAKE, 0.0)[:, None] * (rng.random((n * shaken, m)) - 0.5)
        )
        counts = np.where(place == 0, sampled, 0)
        return Starts(request, limits[request] * (1 - lower), np.ones(n * shaken, bool), counts,
                      np.full(n * shaken, TEMPERATURE))  # fmt: skip

    def _logits(self, starts: Starts, rng: np.random.Generator) -> np.ndarray:
        """Compute the (s, D) logits of all starts."""
        logits: Any = self._session.run(None, {"code": self.code(starts.asked)})[0]
        return np.asarray(logits)

    def _roll(self, starts: Starts, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        logits = self._logits(starts, rng)
        origin = np.concatenate([np.flatnonzero(starts.greedy), np.repeat(np.arange(len(logits)), starts.counts)])
        heat = np.concatenate([np.zeros(int(starts.greedy.sum())), np.repeat(starts.heat, starts.counts)])
        codes = np.zeros((len(origin), len(self._options)), np.int8)
        at = 0
        for gene, options in enumerate(self._options):
            own = logits[origin, at : at + options]
            noise = rng.gumbel(size=own.shape) * heat[:, None] if heat.any() else 0.0
            codes[:, gene] = (own + noise).argmax(1)
            at += options
        return origin, codes


class PriorGenerator(OnePassGenerator):
    """SGNAS's generator, whose graph also reads a prior network, `prior (n, 1, rows, columns)`.

    The first start of a request uses the mean of the priors near its budget, the others a random prior of the pool. A
    pass through the convolutions is expensive, so more of the draws sample every decision.
    """

    sampled = 0.87

    def _setup(self, about: dict[str, Any]) -> int:
        decisions = super()._setup(about)
        self._map = layout(self.space)
        priors = np.array(about["priors"], np.int8)
        self._priors = self._map.one_hot(priors)
        by_name = {device.name: device for device in self.devices}
        self._prior_costs = costs_of(self.space, [by_name[n] for n in self.code.devices if n in by_name], priors)
        return decisions

    def _logits(self, starts: Starts, rng: np.random.Generator) -> np.ndarray:
        first = np.ones(len(starts.request), bool)
        first[1:] = starts.request[1:] != starts.request[:-1]
        prior = np.empty((len(first), *self._priors.shape[1:]), np.float32)
        prior[first] = prior_around(self._priors, self._prior_costs, starts.asked[first])
        prior[~first] = self._priors[rng.integers(0, len(self._priors), (~first).sum())]
        return np.asarray(self._session.run(None, {"code": self.code(starts.asked), "prior": prior})[0])


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
