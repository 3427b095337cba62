"""Registry of the evaluators by name, open to other packages. No torch: a class is imported when it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from explorer.core.protocols import Evaluator
from explorer.core.registry import Registry


@dataclass(frozen=True)
class EvaluatorKind:
    """A registered kind of evaluator.

    Attributes:
        words: short description of how its accuracies are obtained.
        place: "module:class" of the evaluator; the class has `evaluate(codes) -> (n,)`.
    """

    words: str
    place: str

    def load(self) -> type[Evaluator]:
        """Import and return the evaluator class."""
        module, _, name = self.place.partition(":")
        return cast(type[Evaluator], getattr(import_module(module), name))


EVALUATORS: Registry[EvaluatorKind] = Registry("evaluator", "explorer.evaluators", home="explorer.evaluators.kinds")
for _name, _words, _place in (
    ("predictor", "predicted, with a calibrated band", "predictor:Predictor"),
    ("table", "looked up, network by network", "table:Table"),
    ("shared-weights", "measured on images, with a supernet's weights", "shared_weights:SharedWeights"),
    (
        "eight-bit-weights",
        "measured on images in eight bits, with a supernet's weights",
        "eight_bit_weights:EightBitWeights",
    ),
    ("random-weights", "measured on images, with random weights and a fitted head", "random_weights:RandomWeights"),
    ("trained-alone", "measured on images, every network trained from scratch", "alone:TrainedAlone"),
):
    EVALUATORS.register(_name, EvaluatorKind(_words, f"explorer.evaluators.{_place}"))
