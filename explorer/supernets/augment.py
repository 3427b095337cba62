"""Batch augmentation: random shift, horizontal flip and cutout, drawn independently for every image.

All random numbers come from one generator, so a step's batch is a function of (seed, step).
"""

import torch
from torch import Tensor


def augment(images: Tensor, generator: torch.Generator, flip: bool, shift: int, cutout: int) -> Tensor:
    """Augment a batch: (n, c, h, w) uint8 -> (n, c, h, w) float32 in [0, 1].

    Args:
        images: images without augmentation.
        generator: source of all random numbers.
        flip: mirror each image horizontally with probability 0.5.
        shift: largest shift along each axis in pixels; pixels that enter the image are black.
        cutout: side in pixels of the square that is set to black (DeVries and Taylor 2017); 0 for no cutout.
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
    """Convert uint8 images to float32 in [0, 1]."""
    return images.float().div_(255)
