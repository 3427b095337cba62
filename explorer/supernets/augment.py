"""Augmentation of whole batches: shift, mirror, cutout, every image by its own draw.

All draws come from one generator, so a step's batch is a function of (seed, step).
"""

import torch
from torch import Tensor


def augment(images: Tensor, generator: torch.Generator, flip: bool, shift: int, cutout: int) -> Tensor:
    """(n, c, h, w) uint8 -> (n, c, h, w) float32 in [0, 1].

    Args:
        images: raw images.
        generator: source of every draw.
        flip: mirror half of them.
        shift: move by up to this many pixels in both directions; what enters is black.
        cutout: side of the square that is blanked, 0 for none (DeVries and Taylor 2017).
    """
    n, c, h, w = images.shape
    rows = torch.arange(h).expand(n, h)
    columns = torch.arange(w).expand(n, w)
    if flip:
        mirrored = torch.rand(n, 1, generator=generator) < 0.5
        columns = torch.where(mirrored, w - 1 - columns, columns)
    if shift:
        move = torch.randint(-shift, shift + 1, (2, n, 1), generator=generator)
        rows, columns = rows + move[0], columns + move[1]
    inside = ((rows >= 0) & (rows < h))[:, None, :, None] & ((columns >= 0) & (columns < w))[:, None, None, :]
    if cutout:
        centre = torch.randint(0, h, (2, n, 1), generator=generator)
        far = [(torch.arange(size) - at).abs() > cutout // 2 for size, at in zip((h, w), centre)]
        inside = inside & (far[0][:, None, :, None] | far[1][:, None, None, :])
    index = rows.clamp(0, h - 1)[:, :, None] * w + columns.clamp(0, w - 1)[:, None, :]
    moved = images.flatten(2).gather(2, index.flatten(1)[:, None].expand(n, c, h * w)).view(n, c, h, w)
    return to_float(moved).masked_fill_(~inside, 0.0)


def to_float(images: Tensor) -> Tensor:
    """uint8 -> float32 in [0, 1]."""
    return images.float().div_(255)
