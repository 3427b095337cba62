"""What can be trained, by name: a method is its settings, what runs its file, and where its training is.

This table knows no torch; a method's training is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.core.registry import Registry
from explorer.generators.controller import ControllerGenerator
from explorer.generators.one_pass import OnePassGenerator, PriorGenerator
from explorer.generators.runtime import BudgetGenerator
from explorer.generators.settings import ExpertConfig, MethodSettings, PnagConfig, SgnasConfig


@dataclass(frozen=True)
class Method:
    """A way to train a generator.

    Attributes:
        settings: its settings; a recipe has a section of them under the method's name.
        runtime: opens and asks the file that a training wrote.
        training: "module:function" of (space, evaluator, devices, config, seed, progress, known) -> generator; with a
            judge also `signal`.
        judge: "module:class" of what learns through a supernet that runs soft networks, made of (supernet, images,
            labels, images a step, seed); "" for a method that learns from the evaluator alone. Its settings then have
            `held_out` and `images`.
    """

    settings: type[MethodSettings]
    runtime: type[BudgetGenerator]
    training: str
    judge: str = ""

    def train(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: MethodSettings,
        seed: int = 0, progress: Progress = silent, known: np.ndarray | None = None, judge: object = None,
    ) -> BudgetGenerator:  # fmt: skip
        """Train a generator.

        Args:
            space, evaluator, devices: anybody's.
            config: of type `settings`.
            seed: of everything random.
            progress: reports steps.
            known: (n, d) networks that a search found.
            judge: made by `judge_of`, of a method that has one.
        """
        more = {} if judge is None else {"signal": judge}
        generator: BudgetGenerator = _found(self.training)(
            space, evaluator, devices, config, seed, progress, known, **more
        )
        return generator

    def judge_of(self, *about: object) -> object:
        """What this method learns from beside the evaluator; see `judge`."""
        return _found(self.judge)(*about)


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


METHODS: Registry[Method] = Registry("generator", "explorer.generators", home="explorer.generators.methods")
METHODS.register("expert", Method(ExpertConfig, OnePassGenerator, "explorer.generators.expert:train_expert"))
METHODS.register("pnag", Method(PnagConfig, ControllerGenerator, "explorer.generators.pnag:train_pnag"))
METHODS.register("sgnas", Method(
    SgnasConfig, PriorGenerator, "explorer.generators.sgnas:train_sgnas", "explorer.generators.signals:SupernetSignal"
))  # fmt: skip
SHIPPED = ("expert", "pnag", "sgnas")  # a recipe always has their sections, whichever it trains
