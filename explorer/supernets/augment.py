"""Augmentation of batches: crops of whole photographs and torchvision's policies, then shift, flip and cutout.

All random numbers are drawn from one seed per step, so a step's batch is a function of (seed, step).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from torch import Tensor

from explorer.data.datasets import Split
from explorer.supernets.config import TrainConfig

RATIO = (3 / 4, 4 / 3)  # width over height of random crops, as in torchvision


def batch_of(data: Split, index: np.ndarray, config: TrainConfig, seed: int) -> tuple[Tensor, Tensor]:
    """Return an augmented batch: (n, c, size, size) float32 in [0, 1], and labels (n,) or, mixed, (n, classes).

    Args:
        data: the training images.
        index: the rows of the batch.
        config: says which augmentation is used.
        seed: seed of all random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    if config.crop or config.policy != "none":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # torchvision draws from torch's own generator
            images = torch.stack([_changed(data, int(row), config) for row in index])
    else:
        images = data.images[index]
    return augment(images, generator, config.flip, config.shift, config.cutout), data.labels[index]


def _changed(data: Split, row: int, config: TrainConfig) -> Tensor:
    """Return one image (c, size, size) uint8 after its random crop and the policy."""
    from torchvision.transforms.v2 import RandomResizedCrop
    from torchvision.transforms.v2.functional import resized_crop

    size = data.images.shape[-1]
    if config.crop:
        whole = data.images[row] if data.photos is None else data.photos[row]
        at = RandomResizedCrop(size, (config.crop, 1), RATIO).make_params([whole])
        image = resized_crop(whole, at["top"], at["left"], at["height"], at["width"], [size, size], antialias=True)
    else:
        image = data.images[row]
    policy = _policy(config.policy)
    return image if policy is None else policy(image)


@cache
def _policy(name: str) -> Callable[[Tensor], Tensor] | None:
    from torchvision.transforms import v2

    if name == "colour":
        return v2.ColorJitter(0.4, 0.4, 0.4, 0.05)
    policies = {"trivial": v2.TrivialAugmentWide, "rand": v2.RandAugment, "auto": v2.AutoAugment}
    return policies[name](interpolation=v2.InterpolationMode.BILINEAR) if name in policies else None


def mixed(images: Tensor, labels: Tensor, kind: str, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    """Blend ("mixup", Zhang et al. 2018) or paste ("cutmix", Yun et al. 2019) the images of a batch in pairs.

    Returns:
        Images of the same shape, and class shares (n, classes).
    """
    from torchvision.transforms import v2

    mix = v2.MixUp(alpha=0.2, num_classes=classes) if kind == "mixup" else v2.CutMix(alpha=1.0, num_classes=classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        found: tuple[Tensor, Tensor] = mix(images, labels)
    return found


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
