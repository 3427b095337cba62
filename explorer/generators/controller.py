"""PNAG's generator at run time: an LSTM unrolled over the decisions, for any number of budgets at once. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.generators.runtime import BudgetGenerator, Starts
from explorer.spaces.operators import written

TEMPERATURE = 1.5  # sampling temperature of the more diverse half of the draws


class ControllerGenerator(BudgetGenerator):
    """A generator that builds an architecture decision by decision; its graph is one step (see `controller_graph`)."""

    def _setup(self, about: dict[str, Any]) -> int:
        self._genes, self._kinds, self._counts = about["genes"], about["kinds"], about["options"]
        self._offsets = np.cumsum([0, *self._counts])
        self._hidden = {i.name: i.shape for i in self._session.get_inputs()}["h"][1]
        return len(self._genes)

    def _starts(self, limits: np.ndarray, samples: int, rng: np.random.Generator) -> Starts:
        """Plan half of the draws at the limits less the margin, and the other, more diverse half at the limits."""
        n, left = len(limits), samples - 1
        shares = [(self.margin, left - left // 2, 1.0)] + ([(0.0, left // 2, TEMPERATURE)] if left > 1 else [])
        request = np.repeat(np.arange(n), len(shares))
        margins, counts, heat = (np.tile(np.array(column), n) for column in zip(*shares))
        greedy = np.tile(np.arange(len(shares)) == 0, n)
        return Starts(request, limits[request] * (1 - margins)[:, None], greedy, counts, heat)

    def _roll(self, starts: Starts, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Sample architectures token by token; all draws with the same choices so far share one row.

        A multinomial splits a row's draws over the options, which is equivalent to drawing them one by one. So the
        work grows with the number of distinct partial architectures, not with the number of draws. A row skips the
        tokens that its earlier choices made inactive.
        """
        code, n = self.code(starts.asked), len(starts.request)
        state, chosen = np.zeros((n, self._hidden), np.float32), np.zeros((n, len(self.space.decisions)), np.int8)
        rows = _Rows(np.arange(n), np.zeros(n, np.int64), state, state, chosen, starts.counts, starts.greedy)
        for gene, kind in zip(self._genes, self._kinds):
            at, o = self._offsets[kind], self._counts[kind]
            on = written(self.space, rows.chosen)[:, gene]
            rest, now = rows.take(np.flatnonzero(~on)), rows.take(np.flatnonzero(on))
            outputs: Any = self._session.run(
                None, {"code": code, "request": now.start, "previous": now.previous, "h": now.h, "c": now.c}
            )
            logits, now.h, now.c = outputs
            p = np.exp(logits[:, at : at + o].astype(float) / starts.heat[now.start, None])
            p /= p.sum(1, keepdims=True)
            split = rng.multinomial(now.counts, p) if now.counts.any() else np.zeros(p.shape, np.int64)
            best = (p.argmax(1)[:, None] == np.arange(o)) & now.greedy[:, None]
            parent, option = np.nonzero((split > 0) | best)
            now = now.take(parent)
            now.chosen[:, gene] = option
            now.counts, now.greedy, now.previous = split[parent, option], best[parent, option], 1 + at + option
            rows = rest.join(now)
        return rows.start, rows.chosen


@dataclass
class _Rows:
    """Partial architectures during sampling, one per row.

    Attributes:
        start: (n,) index of the start, which gives the row its budget and temperature.
        previous: (n,) the last choice, encoded as the graph's input `previous`.
        h, c: (n, H) state of the LSTM cell.
        chosen: (n, d) int8 choices so far.
        counts: (n,) number of draws that share these choices.
        greedy: (n,) bool: these are the most probable choices of a start that includes the greedy draw.
    """

    start: np.ndarray
    previous: np.ndarray
    h: np.ndarray
    c: np.ndarray
    chosen: np.ndarray
    counts: np.ndarray
    greedy: np.ndarray

    def take(self, index: np.ndarray) -> _Rows:
        return _Rows(*(value[index] for value in vars(self).values()))

    def join(self, other: _Rows) -> _Rows:
        return _Rows(*(np.concatenate(pair) for pair in zip(vars(self).values(), vars(other).values())))
