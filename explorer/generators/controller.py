"""PNAG's generator at run time: an LSTM unrolled over the decisions, for any number of budgets at once. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.generators.runtime import BudgetGenerator
from explorer.spaces.operators import written


class ControllerGenerator(BudgetGenerator):
    """A generator that builds an architecture decision by decision; its graph is one step (see `controller_graph`)."""

    def _setup(self, about: dict[str, Any]) -> int:
        self._genes, self._kinds, self._counts = about["genes"], about["kinds"], about["options"]
        self._offsets = np.cumsum([0, *self._counts])
        self._hidden = {i.name: i.shape for i in self._session.get_inputs()}["h"][1]
        return len(self._genes)

    def _roll(self, limits: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Sample architectures token by token; all draws with the same choices so far share one row.

        A multinomial splits a row's draws over the options, which is equivalent to drawing them one by one. So the
        work grows with the number of distinct partial architectures, not with the number of draws. A row skips the
        tokens that its earlier choices made inactive.
        """
        code, n = self.code(limits), len(limits)
        state, chosen = np.zeros((n, self._hidden), np.float32), np.zeros((n, len(self.space.decisions)), np.int8)
        counts, greedy = np.full(n, draws), np.ones(n, bool)
        rows = _Rows(np.arange(n), np.zeros(n, np.int64), state, state, chosen, counts, greedy)
        for gene, kind in zip(self._genes, self._kinds):
            at, o = self._offsets[kind], self._counts[kind]
            on = written(self.space, rows.chosen)[:, gene]
            rest, now = rows.take(np.flatnonzero(~on)), rows.take(np.flatnonzero(on))
            outputs: Any = self._session.run(
                None, {"code": code, "request": now.row, "previous": now.previous, "h": now.h, "c": now.c}
            )
            logits, now.h, now.c = outputs
            p = np.exp(logits[:, at : at + o].astype(float))
            p /= p.sum(1, keepdims=True)
            split = rng.multinomial(now.counts, p) if draws else np.zeros(p.shape, np.int64)
            best = (p.argmax(1)[:, None] == np.arange(o)) & now.greedy[:, None]
            parent, option = np.nonzero((split > 0) | best)
            now = now.take(parent)
            now.chosen[:, gene] = option
            now.counts, now.greedy, now.previous = split[parent, option], best[parent, option], 1 + at + option
            rows = rest.join(now)
        return rows.row, rows.chosen


@dataclass
class _Rows:
    """Partial architectures during sampling, one per row.

    Attributes:
        row: (n,) row of the limits.
        previous: (n,) the last choice, encoded as the graph's input `previous`.
        h, c: (n, H) state of the LSTM cell.
        chosen: (n, d) int8 choices so far.
        counts: (n,) number of draws that share these choices.
        greedy: (n,) bool: these are the most probable choices for its limits.
    """

    row: np.ndarray
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
