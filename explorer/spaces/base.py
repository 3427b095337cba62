"""The space protocol: what every space offers, what it may offer besides, and how rooms ask.

`explorer.core.protocols.SearchSpace` is the least that anybody's space needs: name, decisions, sample, canonical and
layers. `Space` is the base of registered spaces; it gives the other members that a study uses their usual values. What
only some spaces can do is a protocol of its own, to be asked with `isinstance`: `ForImages`, `Compilable`,
`Enumerable`, `OnceForAll`, `FromString`, `Scalable`. `explorer.testing.check_space` tests all of it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.layer import Layer, Part
from explorer.core.protocols import SearchSpace
from explorer.spaces.operators import sample_uniform

Choices = Architecture | np.ndarray | Sequence[int]  # an architecture, or its option indices


@dataclass(frozen=True)
class Decision:
    """What a gene means; rooms read this instead of the gene's name.

    Attributes:
        name: as in `decisions`.
        kind: what is chosen: "depth", "kernel", "expand", "resolution", "subblock", "operation", "input", ...
        options: the values to choose from.
        place: where in the network, from the outside in and from 1, such as (stage, slot); () for all of it.
        part: tells several decisions of one kind and place apart, from 1; 0 where there is only one.
    """

    name: str
    kind: str
    options: tuple[Any, ...]
    place: tuple[int, ...] = ()
    part: int = 0


class Space(ABC):
    """Base of registered spaces.

    A subclass sets `name`, `channels`, `classes` and `resolutions`, and writes `decisions`, `canonical` and `layers`.
    It is hashable, usually a frozen dataclass.

    Attributes:
        name: its registered name.
        channels, classes: of the images that it is configured for.
        resolutions: sizes of image that networks compute with, in pixels.
        sizes: sizes of image that `for_images` takes as they are; others are resized by the network.
        limits: decisions that `restrict` narrowed, with their options.
        supernet: "module:class" of its shared weights, "" where it has none.
        soft: whether that supernet also runs mixtures of all choices, by their probabilities.
    """

    name: str
    channels: int
    classes: int
    resolutions: tuple[int, ...]
    sizes: tuple[int, ...] = ()
    limits: tuple[tuple[str, tuple[int, ...]], ...] = ()
    supernet: ClassVar[str] = ""
    soft: ClassVar[bool] = False

    @property
    @abstractmethod
    def decisions(self) -> Mapping[str, Sequence[Any]]:
        """Decision name -> option values, in gene order; of a supernet's space the last option is the largest."""

    @abstractmethod
    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n, d) int8 with equal networks as equal codes; idempotent."""

    @abstractmethod
    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """The operators that run, in order, with shapes."""

    @property
    def records(self) -> tuple[Decision, ...]:
        """What every gene means, in gene order; unless told otherwise each is a kind of its own."""
        return tuple(Decision(name, name, tuple(options)) for name, options in self.decisions.items())

    @property
    def size(self) -> int:
        """Number of canonical architectures; unless told otherwise the product of all options, which it is at most."""
        return math.prod(len(options) for options in self.decisions.values())

    @property
    def encoded(self) -> Sequence[int]:
        """Genes of the one-hot encoding that predictors read; those that follow from others may be left out."""
        return range(len(self.decisions))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, d) int8: uniform genes, canonical."""
        return sample_uniform(self, n, rng)

    def for_images(self, channels: int, classes: int, size: int) -> Self:
        """The same space for images of a shape; unless told otherwise it fits one number of channels and classes only.

        Raises:
            InputError: it does not fit.
        """
        if (channels, classes) != (self.channels, self.classes):
            raise InputError(
                f"space {self.name!r} is for images of {self.channels} channels and {self.classes} classes, not of "
                f"{channels} channels and {classes} classes"
            )
        return self

    def restrict(self, options: Mapping[str, Sequence[int]]) -> Self:
        """A narrower space; unless told otherwise a space cannot be narrowed.

        Raises:
            InputError: it cannot.
        """
        raise InputError(f"space {self.name!r} cannot be narrowed to {dict(options)!r}; choose from: the whole space")


@runtime_checkable
class ForImages(Protocol):
    """Can be configured for the shape of images."""

    def for_images(self, channels: int, classes: int, size: int) -> SearchSpace:
        """The same space for images of this shape."""


@runtime_checkable
class Compilable(SearchSpace, Protocol):
    """Networks fall into parts that depend on a few genes each, so that costs become small tables."""

    def parts(self) -> list[Part]:
        """The pieces of a network."""


@runtime_checkable
class Enumerable(SearchSpace, Protocol):
    """All networks can be listed."""

    @property
    def size(self) -> int:
        """How many there are."""

    def enumerate(self) -> np.ndarray:
        """(size, d) int8: every canonical architecture."""


@runtime_checkable
class OnceForAll(Protocol):
    """Reads and writes once-for-all's `{"ks", "e", "d", "r"}`."""

    def from_ofa(self, config: Mapping[str, Any]) -> Architecture:
        """From once-for-all's notation."""

    def to_ofa(self, architecture: Architecture) -> dict[str, Any]:
        """To once-for-all's notation."""


@runtime_checkable
class FromString(Protocol):
    """Reads the strings of a benchmark."""

    def from_string(self, text: str) -> Architecture:
        """The architecture of a string."""


def records_of(space: SearchSpace) -> tuple[Decision, ...]:
    """What every gene of anybody's space means: its `records`, or a kind of its own for each."""
    own: tuple[Decision, ...] | None = getattr(space, "records", None)
    if own is not None:
        return own
    return tuple(Decision(name, name, tuple(options)) for name, options in space.decisions.items())


def configured(space: SearchSpace, channels: int, classes: int, size: int) -> SearchSpace:
    """Anybody's space for images of a shape; one that cannot be configured has to fit as it is."""
    return space.for_images(channels, classes, size) if isinstance(space, ForImages) else space


def resolution_gene(space: SearchSpace) -> int | None:
    """The position of the decision that chooses the size of the images, None where there is none."""
    return next((i for i, record in enumerate(records_of(space)) if record.kind == "resolution"), None)
