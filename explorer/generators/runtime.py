"""Generators at run time: limits in, networks out, for any number of budgets. No torch.

`BudgetGenerator` encodes limits and lets a subclass (`controller`, `one_pass`) draw architectures. Requests are
answered from a pool: the generator's own draws at fixed limits, with fixed noise, made by one pass when it is first
asked. `selection` keeps the best network of the pool that meets the limits.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from explorer.core.errors import InputError, first_line
from explorer.core.files import write_bytes
from explorer.core.onnx_session import open_graph
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices.population import cheapest, costs_of, priced, prices
from explorer.evaluators.scoring import spread_sample
from explorer.generators.budgets import BudgetCode
from explorer.generators.selection import Pool, Selection, as_limits, distinct_rows

BLOCK = 512  # limits per block of draws
LIMITS, DRAWS = 4096, 3  # of the pool: fixed limits, and random draws for each beside the most probable network
BASE = 1000  # networks of all sizes, at whose costs the fixed joint limits lie
SHARE, LEAST = 5, 256  # networks of each part of the pool: at most a fifth as many as the training evaluated, or 256


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
            self.method, self.parameters = about["method"], about["parameters"]
            self.margin = float(about["margin"])
            self.margins = np.array([self.margin, *about.get("margins", [])[1:]], float)
            self.about: dict[str, Any] = about
            self.noise = int(about.get("noise", int.from_bytes(hashlib.sha256(model).digest()[:4])))
            self._most = max(LEAST, int(about["evaluations"]) // SHARE) if "evaluations" in about else None
            self.code = self._conditioning(about)
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
            self.draw(np.full((1, len(self.code.devices)), np.nan), 1)
        except Exception as error:
            raise InputError(f"not a Pareto Explorer generator: {first_line(error)}") from error

    def _conditioning(self, about: dict[str, Any]) -> BudgetCode:
        """Return the devices that the generator is conditioned on, and their ranges; by default those of the file."""
        return BudgetCode(tuple(about["devices"]), tuple(about["low"]), tuple(about["high"]), int(about["anchors"]))

    @property
    def conditioned(self) -> tuple[str, ...]:
        """Names of the devices that the generator reads limits of; limits of others are met by selection alone."""
        return self.code.devices

    @abstractmethod
    def _setup(self, about: dict[str, Any]) -> int:
        """Read what this class needs from the metadata, and return the number of decisions."""

    @abstractmethod
    def _roll(self, limits: np.ndarray, draws: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw architectures: the most probable one for each of the limits, and `draws` random ones.

        Args:
            limits: (n, m) of the devices that the generator was conditioned on.
            draws: number of random draws per row.
            rng: their noise.

        Returns:
            (u,) row of the limits that each draw belongs to, and (u, d) int8 choices, not yet canonical. Draws may be
            repeated or, where they are equal, left out; without random draws there is exactly one per row.
        """

    def save(self, path: str | Path) -> None:
        """Write the graph as an ONNX file and, if available, the weights next to it as `.safetensors`."""
        write_bytes(path, self.model)
        if self.weights is not None:
            write_bytes(Path(path).with_suffix(".safetensors"), self.weights)

    def generate(self, limits: np.ndarray, rng: np.random.Generator | None = None, samples: int = 32) -> np.ndarray:
        """Generate one architecture per request.

        Args:
            limits: (n, m), one column per device in `devices`, NaN where unconstrained.
            rng: not used, because draws are fixed: the same limits always give the same network.
            samples: 1 returns the raw network of one pass, without selection; any other number the best of the pool.

        Returns:
            (n, d) int8, canonical.
        """
        if samples == 1:
            return self.draw(as_limits(limits, self.devices)[:, self._columns])
        return self.select(limits).codes

    def select(self, limits: np.ndarray) -> Selection:
        """Like `generate` with selection, but also return costs, accuracy and feasibility."""
        return self.pool.select(limits)

    def draw(self, limits: np.ndarray, draws: int = 0) -> np.ndarray:
        """Draw architectures at limits less the margin, so that they are likely to meet the limits.

        Args:
            limits: (n, m) of the devices that the generator was conditioned on, NaN where unconstrained.
            draws: number of random draws per row, in addition to the most probable network.

        Returns:
            (u, d) int8, canonical; (n, d), one per row, without random draws.
        """
        rng, codes = np.random.default_rng(self.noise), [np.zeros((0, len(self.space.decisions)), np.int8)]
        for start in range(0, len(limits), BLOCK):
            row, drawn = self._roll(self.asked(limits[start : start + BLOCK]), draws, rng)
            codes.append(self.space.canonical(drawn[np.argsort(row, kind="stable")]))
        return np.concatenate(codes)

    def asked(self, limits: np.ndarray) -> np.ndarray:
        """Return (n, m) limits less the margin, which may grow with the number of bounded devices."""
        bounded = (~np.isnan(limits)).sum(1)
        return limits * (1 - self.margins[np.clip(bounded, 1, len(self.margins)) - 1])[:, None]

    @cached_property
    def pool(self) -> Pool:
        """The networks from which requests are answered: draws at fixed limits, and the cheapest network per device.

        Made when it is first used, in less than a second where the evaluator is a predictor.
        """
        drawn = [distinct_rows(self.draw(limits, draws))[: self._most] for limits, draws in self._fixed_limits()]
        ends = np.array([cheapest(self.space, device) for device in self.devices])
        return Pool(self.space, self.devices, self.evaluator, np.concatenate([*drawn, ends]))

    def _fixed_limits(self) -> list[tuple[np.ndarray, int]]:
        """Return limits of the pool, (LIMITS, m), and draws for each: on one device and on several, all over the range.

        A subclass may add further ones.
        """
        rng, own = np.random.default_rng(self.noise), [self.devices[i] for i in self._columns]
        base = spread_sample(self.space, BASE, lambda codes: prices(self.space, own[0], codes), rng)
        return [(self.code.sample(LIMITS, costs_of(self.space, own, priced(self.space, own, base)), rng), DRAWS)]
