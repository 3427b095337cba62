"""Generators at run time: limits in, networks out, for any number of budgets. No torch.

This file turns limits into codes, lets a kind of generator draw (`controller`, `one_pass`), and lets `selection` keep
the best draw that fits.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from explorer.core.errors import InputError, first_line
from explorer.core.files import write_bytes
from explorer.core.onnx_session import open_graph
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.generators.budgets import BudgetCode
from explorer.generators.selection import Selection, select

BLOCK = 128  # requests at once: what they need stays in the processor's cache


@dataclass
class Starts:
    """What is asked of the network: several starts per request, requests ascending.

    Attributes:
        request: (s,) row of the limits.
        asked: (s, m) limits that the network is given.
        greedy: (s,) bool: the most probable network is one of the draws.
        counts: (s,) draws besides it.
        heat: (s,) temperature of those.
    """

    request: np.ndarray
    asked: np.ndarray
    greedy: np.ndarray
    counts: np.ndarray
    heat: np.ndarray


class BudgetGenerator(ABC):
    """Budgets in, architectures out; what is common to all kinds.

    Args:
        space: the search space.
        model: bytes of the ONNX graph; its metadata hold the method, the budget code and what the kind needs.
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
            self._session = open_graph(model)
            about = json.loads(self._session.get_modelmeta().custom_metadata_map["generator"])
            self.method, self.margin, self.parameters = about["method"], float(about["margin"]), about["parameters"]
            self.about: dict[str, Any] = about
            self.code = BudgetCode(
                tuple(about["devices"]), tuple(about["low"]), tuple(about["high"]), int(about["anchors"])
            )
            genes = self._setup(about)
        except InputError:
            raise
        except Exception as error:
            raise InputError(f"not a Pareto Explorer generator: {first_line(error)}") from error
        if genes != len(space.decisions):
            raise InputError(
                f"this generator makes {genes} decisions, but space {space.name!r} has {len(space.decisions)}"
            )
        by_name = {device.name: i for i, device in enumerate(self.devices)}
        missing = [name for name in self.code.devices if name not in by_name]
        if missing:
            raise InputError(f"this generator was conditioned on {missing}, which are not among {list(by_name)}")
        self._columns = [by_name[name] for name in self.code.devices]
        try:
            self.draw(np.full((1, len(self.devices)), np.nan), np.random.default_rng(0), 2)
        except Exception as error:
            raise InputError(f"not a Pareto Explorer generator: {first_line(error)}") from error

    @abstractmethod
    def _setup(self, about: dict[str, Any]) -> int:
        """Read what this kind needs from the metadata; returns the number of decisions."""

    @abstractmethod
    def _starts(self, limits: np.ndarray, samples: int, rng: np.random.Generator) -> Starts:
        """(n, m) limits of the conditioned devices -> what is asked for `samples` draws of each."""

    @abstractmethod
    def _roll(self, starts: Starts, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(u,) the start of every draw, and (u, d) int8 its choices, not yet canonical."""

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

        The first draw of a request is the most probable network, asked a margin below the limits so that it fits.
        Where a limit concerns a device that the generator was not conditioned on, draws spread over the whole range
        of the first conditioned device instead.
        """
        limits = np.atleast_2d(np.asarray(limits, float))
        codes, request = [np.zeros((0, len(self.space.decisions)), np.int8)], [np.zeros(0, np.int64)]
        for start in range(0, len(limits), BLOCK):
            block = self._draw_block(limits[start : start + BLOCK], rng, samples)
            codes.append(block[0])
            request.append(block[1] + start)
        return np.concatenate(codes), np.concatenate(request)

    def _draw_block(self, limits: np.ndarray, rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
        starts = self._starts(limits[:, self._columns], samples, rng)
        others = [i for i in range(limits.shape[1]) if i not in self._columns]
        foreign = ~np.isnan(limits[:, others]).all(1)
        if foreign.any() and samples > 1:
            starts = self._ladder(starts, limits[:, self._columns], foreign, samples)
        origin, codes = self._roll(starts, rng)
        request = starts.request[origin]
        order = np.argsort(request, kind="stable")
        return self.space.canonical(codes[order]), request[order]

    def _ladder(self, starts: Starts, limits: np.ndarray, foreign: np.ndarray, samples: int) -> Starts:
        """For requests with a foreign limit, greedy starts all over the range of the first conditioned device."""
        rungs = np.exp(np.linspace(np.log(self.code.high[0]), np.log(self.code.low[0]), samples))
        rows = np.repeat(np.flatnonzero(foreign), samples)
        ladder = limits[rows]
        ladder[:, 0] = np.fmin(ladder[:, 0], np.tile(rungs, foreign.sum()))
        kept, n = ~foreign[starts.request], len(rows)
        return Starts(
            np.concatenate([starts.request[kept], rows]), np.concatenate([starts.asked[kept], ladder]),
            np.concatenate([starts.greedy[kept], np.ones(n, bool)]),
            np.concatenate([starts.counts[kept], np.zeros(n, np.int64)]),
            np.concatenate([starts.heat[kept], np.ones(n)]),
        )  # fmt: skip
