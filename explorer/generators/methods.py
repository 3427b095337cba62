"""The table of generator methods: each has its settings, a runtime class and the location of its training function.

This table does not import torch; a method's training code is imported when it is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.core.registry import Registry
from explorer.generators.any_device import AnyDeviceGenerator
from explorer.generators.controller import ControllerGenerator
from explorer.generators.one_pass import OnePassGenerator, PriorGenerator
from explorer.generators.runtime import BudgetGenerator
from explorer.generators.settings import ExpertConfig, MethodSettings, PnagConfig, SgnasConfig


@dataclass(frozen=True)
class Method:
    """A method of training a generator.

    Attributes:
        settings: class of the method's settings; a recipe has a section with them under the method's name.
        runtime: class that opens and runs a trained generator file.
        training: "module:function" of the training function, called with (space, evaluator, devices, config, seed,
            progress, known) and, if the method has a judge, `signal`; it returns a generator.
        judge: "module:class" of a training signal that comes from a supernet which runs soft networks, constructed with
            (supernet, images, labels, images per step, seed); "" for a method that learns from the evaluator alone.
            The settings of a method with a judge have the fields `held_out` and `images`.
        earlier: class that opens files of the method's first edition; None where `runtime` opens them all.
    """

    settings: type[MethodSettings]
    runtime: type[BudgetGenerator]
    training: str
    judge: str = ""
    earlier: type[BudgetGenerator] | None = None

    def runtime_of(self, about: Mapping[str, Any]) -> type[BudgetGenerator]:
        """Return the class that opens a file with these metadata."""
        return self.runtime if self.earlier is None or about.get("edition", 1) > 1 else self.earlier

    def train(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], config: MethodSettings,
        seed: int = 0, progress: Progress = silent, known: np.ndarray | None = None, judge: object = None,
    ) -> BudgetGenerator:  # fmt: skip
        """Train a generator.

        Args:
            space, evaluator, devices: any objects that implement the protocols in `core.protocols`.
            config: an instance of `settings`.
            seed: random seed of the whole training.
            progress: reports training steps.
            known: (n, d) networks found by a search, to learn from.
            judge: the result of `judge_of`, for a method that has a judge.
        """
        more = {} if judge is None else {"signal": judge}
        generator: BudgetGenerator = _found(self.training)(
            space, evaluator, devices, config, seed, progress, known, **more
        )
        return generator

    def judge_of(self, *about: object) -> object:
        """Construct the training signal that this method uses in addition to the evaluator; see `judge`."""
        return _found(self.judge)(*about)


def _found(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


METHODS: Registry[Method] = Registry("generator", "explorer.generators", home="explorer.generators.methods")
METHODS.register("expert", Method(
    ExpertConfig, AnyDeviceGenerator, "explorer.generators.expert:train_expert", earlier=OnePassGenerator
))  # fmt: skip
METHODS.register("pnag", Method(PnagConfig, ControllerGenerator, "explorer.generators.pnag:train_pnag"))
METHODS.register("sgnas", Method(
    SgnasConfig, PriorGenerator, "explorer.generators.sgnas:train_sgnas", "explorer.generators.signals:SupernetSignal"
))  # fmt: skip
SHIPPED = ("expert", "pnag", "sgnas")  # a recipe always has sections for these, whichever it trains
