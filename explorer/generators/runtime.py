"""A generator at work: one pass of an ONNX graph over the decisions, for any number of budgets. No torch.

This file turns limits into codes, rolls the controller out, and lets `selection` keep the best draw that fits.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import InputError
from explorer.files import write_bytes
from explorer.generators.budgets import BudgetCode
from explorer.generators.selection import Selection, select
from explorer.onnx_session import open_session
from explorer.protocols import Device, Evaluator, SearchSpace
from explorer.spaces.operators import written

TEMPERATURE = 1.5  # of the more varied half of the draws
BLOCK = 128  # requests at once: what they need stays in the processor's cache


class BudgetGenerator:
    """Budgets in, architectures out.

    Args:
        space: the search space.
        model: bytes of the step graph (`controller_graph`); its metadata hold the budget code and the order of tokens.
        evaluator: ranks draws.
        devices: the devices that limits have columns for; the first ones are those it was conditioned on.
        weights: tensors of the trained network, for whoever wants to go on training.

    Raises:
        InputError: not a generator of this space.
    """

    def __init__(
        self, space: SearchSpace, model: bytes, evaluator: Evaluator, devices: Sequence[Device],
        weights: bytes | None = None,
    ) -> None:  # fmt: skip
        self.space, self.model, self.evaluator, self.weights = space, model, evaluator, weights
        self.devices = list(devices)
        try:
            self._session = open_session(model)
            about = json.loads(self._session.get_modelmeta().custom_metadata_map["generator"])
            self.method, self.margin, self.parameters = about["method"], float(about["margin"]), about["parameters"]
            self.about: dict[str, Any] = about
            self.code = BudgetCode(
                tuple(about["devices"]), tuple(about["low"]), tuple(about["high"]), int(about["anchors"])
            )
            self._genes, self._kinds, self._counts = about["genes"], about["kinds"], about["options"]
            self._offsets = np.cumsum([0, *self._counts])
            self._hidden = {i.name: i.shape for i in self._session.get_inputs()}["h"][1]
            genes = len(self._genes)
        except Exception as error:
            raise InputError(f"not a generator of ours: {str(error).splitlines()[0]}") from error
        if genes != len(space.decisions):
            raise InputError(
                f"this generator makes {genes} decisions, but space {space.name!r} has {len(space.decisions)}"
            )
        by_name = {device.name: i for i, device in enumerate(self.devices)}
        missing = [name for name in self.code.devices if name not in by_name]
        if missing:
            raise InputError(f"this generator was conditioned on {missing}, which are not among {list(by_name)}")
        self._columns = [by_name[name] for name in self.code.devices]

    @classmethod
    def open(
        cls, space: SearchSpace, path: str | Path, evaluator: Evaluator, devices: Sequence[Device]
    ) -> BudgetGenerator:
        """Read a generator file."""
        return cls(space, Path(path).read_bytes(), evaluator, devices)

    def save(self, path: str | Path) -> None:
        """Write the graph as one ONNX file, and the weights beside it where they are known."""
        write_bytes(path, self.model)
        if self.weights is not None:
            write_bytes(Path(path).with_suffix(".safetensors"), self.weights)

    def generate(self, limits: np.ndarray, rng: np.random.Generator, samples: int = 32) -> np.ndarray:
        """One architecture per request.

        Args:
            limits: (n, m), one column per device in `devices`, NaN where free.
            rng: source of the draws.
            samples: draws per request; 1 is the raw network of one deterministic pass, unselected.

        Returns:
            (n, d) int8, canonical.
        """
        if samples == 1:
            return self.draw(limits, rng, 1)[0]
        return self.select(limits, rng, samples).codes

    def select(self, limits: np.ndarray, rng: np.random.Generator, samples: int = 32) -> Selection:
        """The same with costs, accuracy and feasibility."""
        limits = np.asarray(limits, float)
        return select(self.space, self.devices, self.evaluator, limits, *self.draw(limits, rng, samples))

    def draw(self, limits: np.ndarray, rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Distinct draws and the request each belongs to: (u, d) int8 canonical, (u,) ascending.

        The first draw of a request is the most probable network, asked a margin below the limits so that it fits. Half
        of the others are sampled just so; the rest, more varied, are asked for the limits themselves and sampled from
        a policy flattened by a temperature. Where a limit concerns a device that the generator was not conditioned on,
        draws spread over the whole range of the first conditioned device instead.
        """
        limits = np.atleast_2d(np.asarray(limits, float))
        codes, request = [np.zeros((0, len(self.space.decisions)), np.int8)], [np.zeros(0, np.int64)]
        for start in range(0, len(limits), BLOCK):
            block = self._draw_block(limits[start : start + BLOCK], rng, samples)
            codes.append(block[0])
            request.append(block[1] + start)
        return np.concatenate(codes), np.concatenate(request)

    def _draw_block(self, limits: np.ndarray, rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
        request, asked, counts, heat = self._starts(limits[:, self._columns], samples)
        others = [i for i in range(limits.shape[1]) if i not in self._columns]
        foreign = ~np.isnan(limits[:, others]).all(1)
        if foreign.any() and samples > 1:
            rungs = np.exp(np.linspace(np.log(self.code.high[0]), np.log(self.code.low[0]), samples))
            rows = np.repeat(np.flatnonzero(foreign), samples)
            ladder = limits[:, self._columns][rows]
            ladder[:, 0] = np.fmin(ladder[:, 0], np.tile(rungs, foreign.sum()))
            kept = ~foreign[request]
            request = np.concatenate([request[kept], rows])
            asked = np.concatenate([asked[kept], ladder])
            counts = np.concatenate([counts[kept], np.zeros(len(rows), np.int64)])
            heat = np.concatenate([heat[kept], np.ones(len(rows))])
        # the first start of every request, and every rung, also follows its most probable choices
        first = np.ones(len(request), bool)
        first[1:] = (request[1:] != request[:-1]) | (counts[1:] == 0)
        origin, codes = self._roll(self.code(asked), counts, heat, first, rng)
        request = request[origin]
        order = np.argsort(request, kind="stable")
        return self.space.canonical(codes[order]), request[order]

    def _starts(self, limits: np.ndarray, samples: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Starts: their request, what they ask for, their draws besides the most probable one, their temperature."""
        n, left = len(limits), samples - 1
        shares = [(self.margin, left - left // 2, 1.0)] + ([(0.0, left // 2, TEMPERATURE)] if left > 1 else [])
        request = np.repeat(np.arange(n), len(shares))
        margins, counts, heat = (np.tile(np.array(column), n) for column in zip(*shares))
        return request, limits[request] * (1 - margins)[:, None], counts, heat

    def _roll(
        self, code: np.ndarray, counts: np.ndarray, heat: np.ndarray, greedy: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Write architectures token by token; draws with one history are one row.

        A row's draws are split over the options by a multinomial, which is the same as drawing them one by one. So the
        work grows with the number of distinct histories, not with the number of draws. A row passes over the tokens
        that its earlier choices made inactive.

        Returns:
            (u,) the start that each row came from, and (u, d) its choices.
        """
        n = len(code)
        state, chosen = np.zeros((n, self._hidden), np.float32), np.zeros((n, len(self.space.decisions)), np.int8)
        rows = _Rows(np.arange(n), np.zeros(n, np.int64), state, state, chosen, counts, greedy)
        for gene, kind in zip(self._genes, self._kinds):
            at, o = self._offsets[kind], self._counts[kind]
            on = written(self.space, rows.chosen)[:, gene]
            rest, now = rows.take(np.flatnonzero(~on)), rows.take(np.flatnonzero(on))
            outputs: Any = self._session.run(
                None, {"code": code, "request": now.start, "previous": now.previous, "h": now.h, "c": now.c}
            )
            logits, now.h, now.c = outputs
            p = np.exp(logits[:, at : at + o].astype(float) / heat[now.start, None])
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
    """Histories on the way, one per row.

    Attributes:
        start: (n,) where the row began: its budget and temperature.
        previous: (n,) the last choice, as the graph reads it.
        h, c: (n, H) state of the cell.
        chosen: (n, d) int8 choices so far.
        counts: (n,) draws that share this history.
        greedy: (n,) bool: this history is the most probable one.
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
