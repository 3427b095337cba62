"""Interfaces between subpackages: what a space, a device, an evaluator and a generator must provide.

Any object with these members works everywhere in the package; `explorer.testing` checks it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np

from explorer.core.layer import Layer

T = TypeVar("T")


@runtime_checkable
class SearchSpace(Protocol):
    """A search space: the decisions that define a network. A population is an (n, d) int8 array of option indices."""

    @property
    def name(self) -> str:
        """Name under which the space is registered."""

    @property
    def decisions(self) -> Mapping[str, Sequence[Any]]:
        """Decision name -> option values, in gene order."""

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n random canonical architectures, (n, d) int8."""

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Return the same networks, (n, d) int8, in canonical form: inactive genes are set to one fixed option."""

    def layers(self, architecture: Any) -> Sequence[Layer]:
        """Return the operators that run, in order, with shapes."""


@runtime_checkable
class Device(Protocol):
    """Target hardware (or a count, such as parameters) that prices architectures."""

    @property
    def name(self) -> str:
        """Name used in budgets and table columns."""

    @property
    def unit(self) -> str:
        """Unit of the costs, such as "ms" or "M" (millions)."""

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """Price architectures: (n, d) int8 -> (n,) float64 in `unit`."""


@runtime_checkable
class Evaluator(Protocol):
    """Measures or predicts the accuracy of architectures."""

    def evaluate(self, codes: np.ndarray) -> np.ndarray:
        """Evaluate architectures: (n, d) int8 -> (n,) accuracy in [0, 1]."""


@runtime_checkable
class Generator(Protocol):
    """Maps budgets to architectures in one forward pass."""

    def generate(self, limits: np.ndarray, rng: np.random.Generator | None = None, samples: int = 32) -> np.ndarray:
        """Generate one architecture per budget: the same for the same budget, and never a worse one for a larger one.

        Args:
            limits: (n, m), one row per budget and one column per device, NaN where unconstrained.
            rng: for generators that draw anew; those of this package have fixed draws.
            samples: number of draws of which the best is kept; 1 is the raw network.

        Returns:
            (n, d) int8.
        """


class Progress(Protocol):
    """Reports the progress of a long computation."""

    def __call__(self, items: Iterable[T], total: int, what: str) -> Iterable[T]:
        """Yield `items` and report the progress; `total` is their number, `what` a label."""


def silent(items: Iterable[T], total: int, what: str) -> Iterable[T]:
    """A `Progress` that reports nothing."""
    return items


Hear = Callable[[int, int, float], None]  # a step of a training, the number of steps, and the step's loss


def deaf(step: int, total: int, loss: float) -> None:
    """A `Hear` that ignores what it is told."""
