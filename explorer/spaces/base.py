"""The interface of search spaces: required members, optional abilities, and helpers that query them.

`explorer.core.protocols.SearchSpace` is the minimum: name, decisions, sample, canonical and layers. `Space` is the base
class of registered spaces; it implements defaults of the other members that a study uses. An ability that only some
spaces have is a protocol of its own, to be tested with `isinstance`: `ForImages`, `Compilable`, `Enumerable`,
`OnceForAll`, `FromString`. `explorer.testing.check_space` checks a space against all of it.
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
    """Describes a gene; code reads this instead of interpreting the gene's name.

    Attributes:
        name: the key in `decisions`.
        kind: what is chosen: "depth", "kernel", "expand", "resolution", "subblock", "operation", "input", ...
        options: the values to choose from.
        place: position in the network, outermost level first and counted from 1, such as (stage, slot); () for a
            decision about the whole network.
        part: distinguishes several decisions of one kind and place, counted from 1; 0 where there is only one.
    """

    name: str
    kind: str
    options: tuple[Any, ...]
    place: tuple[int, ...] = ()
    part: int = 0


class Space(ABC):
    """Base class of registered search spaces.

    A subclass sets `name`, `channels`, `classes` and `resolutions`, and implements `decisions`, `canonical` and
    `layers`. It must be hashable; usually it is a frozen dataclass.

    Attributes:
        name: name under which the space is registered.
        channels, classes: number of channels and of classes of the images that the space is configured for.
        resolutions: image sizes that networks compute at, in pixels.
        sizes: image sizes that `for_images` accepts as they are, in pixels; the network resizes other images.
        limits: decisions narrowed by `restrict`, with their remaining options.
        supernet: "module:class" of the space's supernet; "" where it has none.
        soft: whether that supernet can also run a mixture of all choices, weighted by probabilities.
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
        """Decision name -> option values, in gene order; where there is a supernet, the last option is the largest."""

    @abstractmethod
    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Map (n, d) int8 codes to canonical codes, which are the same for equal networks; idempotent."""

    @abstractmethod
    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """Return the operators that run, in order, with shapes."""

    @property
    def records(self) -> tuple[Decision, ...]:
        """Description of every gene, in gene order; by default the kind of a gene is its name."""
        return tuple(Decision(name, name, tuple(options)) for name, options in self.decisions.items())

    @property
    def size(self) -> int:
        """Number of canonical architectures; the default, the product of all option counts, is an upper bound."""
        return math.prod(len(options) for options in self.decisions.values())

    @property
    def encoded(self) -> Sequence[int]:
        """Positions of the genes in the predictor's one-hot encoding; genes that follow from others may be left out."""
        return range(len(self.decisions))

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw n architectures, (n, d) int8: every gene uniform, then made canonical."""
        return sample_uniform(self, n, rng)

    def for_images(self, channels: int, classes: int, size: int) -> Self:
        """Return the space for images of a shape; by default only its own numbers of channels and classes are accepted.

        Raises:
            InputError: the space cannot be used for these images.
        """
        if (channels, classes) != (self.channels, self.classes):
            raise InputError(
                f"space {self.name!r} is for images of {self.channels} channels and {self.classes} classes, not of "
                f"{channels} channels and {classes} classes"
            )
        return self

    def restrict(self, options: Mapping[str, Sequence[int]]) -> Self:
        """Return a narrower space, with fewer options per decision; by default this is not supported.

        Raises:
            InputError: the space cannot be narrowed.
        """
        raise InputError(f"space {self.name!r} does not support narrowing its options (asked for {dict(options)!r})")


@runtime_checkable
class ForImages(Protocol):
    """A space that can be configured for the shape of images."""

    def for_images(self, channels: int, classes: int, size: int) -> SearchSpace:
        """Return the same space, configured for images of this shape."""


@runtime_checkable
class Compilable(SearchSpace, Protocol):
    """A space whose networks consist of parts that depend on a few genes each, so that costs become small tables."""

    def parts(self) -> list[Part]:
        """Return the parts of a network."""


@runtime_checkable
class Enumerable(SearchSpace, Protocol):
    """A space whose architectures can be listed."""

    @property
    def size(self) -> int:
        """Number of canonical architectures."""

    def enumerate(self) -> np.ndarray:
        """Return every canonical architecture, (size, d) int8."""


@runtime_checkable
class OnceForAll(Protocol):
    """A space that reads and writes once-for-all's notation, `{"ks", "e", "d", "r"}`."""

    def from_ofa(self, config: Mapping[str, Any]) -> Architecture:
        """Create an architecture from once-for-all's notation."""

    def to_ofa(self, architecture: Architecture) -> dict[str, Any]:
        """Convert an architecture to once-for-all's notation."""


@runtime_checkable
class FromString(Protocol):
    """A space that reads the architecture strings of a benchmark."""

    def from_string(self, text: str) -> Architecture:
        """Parse an architecture string."""


def records_of(space: SearchSpace) -> tuple[Decision, ...]:
    """Return the description of every gene of any space: its `records`; without them, a gene's kind is its name."""
    own: tuple[Decision, ...] | None = getattr(space, "records", None)
    if own is not None:
        return own
    return tuple(Decision(name, name, tuple(options)) for name, options in space.decisions.items())


def configured(space: SearchSpace, channels: int, classes: int, size: int) -> SearchSpace:
    """Configure any space for images of a shape; one without `for_images` is returned as it is and has to fit."""
    return space.for_images(channels, classes, size) if isinstance(space, ForImages) else space


def image_size(space: SearchSpace) -> int:
    """Return the size in pixels of the largest images that networks of a space compute at."""
    gene = resolution_gene(space)
    if gene is not None:
        return int(max(records_of(space)[gene].options))
    return int(max(getattr(space, "resolutions", (32,))))


def distinct_layers(space: SearchSpace, codes: np.ndarray) -> set[Layer]:
    """Collect the layers that (n, d) architectures consist of; by parts where the space has them, which is fast."""
    if not isinstance(space, Compilable):
        return {layer for row in codes for layer in space.layers(row)}
    found: set[Layer] = set()
    for part in space.parts():
        for choices in np.unique(codes[:, list(part.genes)], axis=0).tolist():
            found.update(part.layers(tuple(choices)))
    return found


def resolution_gene(space: SearchSpace) -> int | None:
    """Return the position of the decision that chooses the image size, or None where there is none."""
    return next((i for i, record in enumerate(records_of(space)) if record.kind == "resolution"), None)
