"""What spaces of repeated cells share: their size in width and depth, and that nothing of them is ever narrowed."""

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
        name: its registered name.
        width: channels of the first cells.
        depth: how many cells; a subclass says of what.
        resolution: input size; `sizes` are image sizes that a network may compute at as they are.
        channels, classes: of the images.
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
        """The one input size."""
        return (self.resolution,)

    def active(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) bool: every decision matters."""
        return np.ones(np.shape(codes), bool)

    def for_images(self, channels: int, classes: int, size: int) -> Self:
        """The same space for images of this shape; a size that is not among `sizes` is resized by the network."""
        resolution = size if size in self.sizes else self.resolution
        return replace(self, channels=channels, classes=classes, resolution=resolution)

    def scaled(self, width: int | None = None, depth: int | None = None) -> Self:
        """The same cells in networks of another width and depth.

        Raises:
            InputError: a width below 1, or too few cells.
        """
        for what, value, least in (("width", width, 1), ("depth", depth, self.least_depth)):
            if value is not None and value < least:
                raise InputError(f"{what} of space {self.name!r} is {value}; expected at least {least}")
        return replace(self, width=width or self.width, depth=depth or self.depth)
