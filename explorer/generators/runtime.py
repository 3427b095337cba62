"""Generators at run time: limits in, networks out, for any number of budgets. No torch.

`BudgetGenerator` encodes the limits, lets a subclass (`controller`, `one_pass`) draw architectures, and lets
`selection` keep the best draw that meets the limits.
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

BLOCK = 128  # requests per block: their data fit in the CPU cache


@dataclass
class Starts:
    """The inputs of the generator network: one or more starts per request, sorted by request.

    A start is one conditioning of the network, from which any number of draws are sampled.

    Attributes:
        request: (s,) index of the row of limits that the start belongs to.
        asked: (s, m) limits that are given to the network.
        greedy: (s,) bool: the most probable network is one of the draws.
        counts: (s,) number of draws in addition to the greedy one.
        heat: (s,) sampling temperature of these draws.
    """

    request: np.ndarray
    asked: np.ndarray
    greedy: np.ndarray
    counts: np.ndarray
    heat: np.ndarray


class BudgetGenerator(ABC):
    """Base class of trained generators: budgets in, architectures out.

    Args:
        space: the search space.
        model: bytes of the ONNX graph; its metadata hold the method, the budget code and what the subclass needs.
        evaluator: ranks the draws.
        devices: one per column of the limits; they include those that the generator was conditioned on.
        weights: the trained network's tensors as safetensors bytes, for further training.

    Raises:
        InputError: not a generator for this space, or one conditioned on other devices.
    """

    def __init__(
        self, space: SearchSpace, model: bytes, evaluator: Evaluator, devices: Sequence[Device],
        weights: bytes | None = None,
    ) -> None:  # fmt: skip
        self.space, self.model, self.evaluator, self.weights = space, model, evaluator, weights
        self.devices = list(devices)
        self.compared: dict[str, Any] = {}  # set by `train_generator`
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
        """Read what this class needs from the metadata, and return the number of decisions."""

    @abstractmethod
    def _starts(self, limits: np.ndarray, samples: int, rng: np.random.Generator) -> Starts:
        """Plan `samples` draws for each of (n, m) limits of the devices that the generator was conditioned on."""

    @abstractmethod
    def _roll(self, starts: Starts, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw architectures.

        Returns:
            (u,) index of the start of every draw, and (u, d) int8 choices, not yet canonical.
        """

    def save(self, path: str | Path) -> None:
        """Write the graph as an ONNX file and, if available, the weights next to it as `.safetensors`."""
        write_bytes(path, self.model)
        if self.weights is not None:
            write_bytes(Path(path).with_suffix(".safetensors"), self.weights)

    def generate(self, limits: np.ndarray, rng: np.random.Generator, samples: int = 32) -> np.ndarray:
        """Generate one architecture per request.

        Args:
            limits: (n, m), one column per device in `devices`, NaN where unconstrained.
            rng: random number generator of the draws.
            samples: draws per request; 1 returns the raw network of one deterministic pass, without selection.

        Returns:
            (n, d) int8, canonical.
        """
        if samples == 1:
            return self.draw(limits, rng, 1)[0]
        return self.select(limits, rng, samples).codes

    def select(self, limits: np.ndarray, rng: np.random.Generator, samples: int = 32) -> Selection:
        """Like `generate` with selection, but also return costs, accuracy and feasibility."""
        limits = np.asarray(limits, float)
        return select(self.space, self.devices, self.evaluator, limits, *self.draw(limits, rng, samples))

    def draw(self, limits: np.ndarray, rng: np.random.Generator, samples: int) -> tuple[np.ndarray, np.ndarray]:
        """Draw architectures for each request, before selection.

        The first draw of a request is the most probable network for the limits less the margin, so that it is likely to
        meet them. If a limit is on a device that the generator was not conditioned on, the draws are spread over the
        whole range of the first conditioned device instead.

        Returns:
            (u, d) int8 canonical architectures, and (u,) the request each belongs to, ascending.
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
        """Replace the starts of `foreign` requests by greedy starts over the range of the first conditioned device.

        Foreign requests are those with a limit on a device that the generator was not conditioned on.
        """
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
