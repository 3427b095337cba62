"""The doors between rooms: what a space, a device, an evaluator and a generator must offer.

Anybody's object that has these members works everywhere in the package; `explorer.testing` checks it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from explorer.core.layer import Layer

T = TypeVar("T")


@runtime_checkable
class SearchSpace(Protocol):
    """What can be chosen. A population is an int8 array (n, d), one option index per decision."""

    @property
    def name(self) -> str:
        """Its registered name."""

    @property
    def decisions(self) -> Mapping[str, Sequence[Any]]:
        """Decision name -> option values, in gene order."""

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, d) int8: random canonical architectures."""

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> the same networks with inactive genes set to one fixed option."""

    def layers(self, architecture: Any) -> Sequence[Layer]:
        """The operators that run, in order, with shapes."""


@runtime_checkable
class Device(Protocol):
    """A target hardware (or a count) that prices architectures."""

    @property
    def name(self) -> str:
        """The name that budgets and columns use."""

    @property
    def unit(self) -> str:
        """The unit of its costs: "ms", "M"."""

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n,) float64 in `unit`."""


@runtime_checkable
class Evaluator(Protocol):
    """Anything that gives an accuracy."""

    def evaluate(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n,) accuracy in [0, 1]."""


@runtime_checkable
class Generator(Protocol):
    """Budgets in, architectures out, in one forward pass."""

    def generate(self, limits: np.ndarray, rng: np.random.Generator, samples: int = 32) -> np.ndarray:
        """(n, m) limits, NaN where unconstrained -> (n, d) int8."""


class Progress(Protocol):
    """Reports how far a long piece of work is."""

    def __call__(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Yield `items`, reporting on the way."""


def silent(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """A `Progress` that reports nothing."""
    return items
