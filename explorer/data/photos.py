"""Whole photographs of different shapes, one after another in one array, which may be a file on disk.

Training cuts its random crops from them; only the pixels that a batch needs are read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch


@dataclass(frozen=True)
class Photos:
    """Photographs, upright, scaled to a common length of their shorter side.

    Attributes:
        pixels: (total,) uint8, all photographs as (height, width, channels), one after another.
        starts: (n,) where each begins.
        shapes: (n, 2) height and width of each.
        channels: 1 (grey) or 3 (colour).
        rows: (m,) which photographs these are, in order.
        colour: whether grey photographs are given out in three channels.
    """

    pixels: np.ndarray
    starts: np.ndarray
    shapes: np.ndarray
    channels: int
    rows: np.ndarray
    colour: bool = False

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: np.ndarray | slice) -> Photos:
        """Return the rows at `index`."""
        return replace(self, rows=self.rows[index])

    def coloured(self) -> Photos:
        """Return the same photographs in three channels."""
        return replace(self, colour=True)

    def __getitem__(self, at: int) -> torch.Tensor:
        """Return one photograph, (channels, height, width) uint8; (3, height, width) where it is to be in colour."""
        row = self.rows[at]
        height, width = (int(v) for v in self.shapes[row])
        start, count = int(self.starts[row]), height * width * self.channels
        found = np.array(self.pixels[start : start + count]).reshape(height, width, self.channels)
        photo = torch.from_numpy(found).permute(2, 0, 1)
        return photo.expand(3, -1, -1) if self.colour else photo
