"""Base class of spaces of repeated cells, whose width and depth can be scaled; their options cannot be narrowed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from explorer.core.errors import InputError
from explorer.spaces.base import Space


@dataclass(frozen=True)
class Cells(Space):
    """Networks of repeated cells.

    Attributes:
        name: name under which the space is registered.
        width: channels of the first cells.
        depth: number of cells; subclasses define which cells it counts.
        resolution: input size in pixels.
        channels, classes: number of channels and of classes of the images.
        sizes: image sizes that a network may compute at without resizing.
    """

    name: str
    width: int = 16
    depth: int = 5
    resolution: int = 32
    channels: int = 3
    classes: int = 10
    sizes: tuple[int, ...] = (28, 32)

    least_depth: ClassVar[int] = 1

    @property
    def resolutions(self) -> tuple[int, ...]:  # type: ignore[override]
        """The single input size."""
        return (self.resolution,)

    def active(self, codes: np.ndarray) -> np.ndarray:
        """Return (n, d) bool, all True: every decision affects the network."""
        return np.ones(np.shape(codes), bool)

    def for_images(self, channels: int, classes: int, size: int) -> Self:
        """Return the same space for images of this shape; the network resizes images whose size is not in `sizes`."""
        resolution = size if size in self.sizes else self.resolution
        return replace(self, channels=channels, classes=classes, resolution=resolution)

    def scaled(self, width: int | None = None, depth: int | None = None) -> Self:
        """Return the space of the same cells in networks of another width and depth.

        Raises:
            InputError: the width is below 1, or there are too few cells.
        """
        for what, value, least in (("width", width, 1), ("depth", depth, self.least_depth)):
            if value is not None and value < least:
                raise InputError(f"{what} of space {self.name!r} is {value}; expected at least {least}")
        return replace(self, width=width or self.width, depth=depth or self.depth)
