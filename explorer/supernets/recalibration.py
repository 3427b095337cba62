"""Batch-norm recalibration of networks with inherited weights.

The batch-norm statistics of a supernet fit none of its subnets. Whenever a subnet is scored or exported, the mean and
variance of every norm are therefore recomputed on a fixed sample of training images (Cai et al. 2020: 2,000 images,
fixed seed).
"""

import numpy as np
import torch
from torch import nn

from explorer.data.datasets import Images
from explorer.supernets.augment import to_float

SEED = 937162211  # the seed that once-for-all uses
PIXELS = 1 << 22  # of one channel, in one forward pass


def images_at_once(size: int) -> int:
    """Return how many images of size x size pixels are computed at once, without gradients and in bounded memory.

    >>> images_at_once(28), images_at_once(224)
    (500, 83)
    """
    return max(16, min(500, PIXELS // size**2))


def rows_for_norms(images: int, count: int) -> np.ndarray:
    """Return which training images batch norm is recalibrated on: `count` of them, the same in every call."""
    return np.random.default_rng(SEED).permutation(images)[:count]


@torch.no_grad()
def recalibrate(network: nn.Module, images: Images, count: int = 2000, batch: int | None = None) -> nn.Module:
    """Recompute the statistics of every batch norm, in place; return the network in evaluation mode.

    Args:
        network: a plain network.
        images: `images.train` is used, without augmentation.
        count: number of training images.
        batch: images per forward pass, by default `images_at_once`; statistics are averaged over passes, weighted by
            size.
    """
    batch = batch or images_at_once(images.size)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms:
        return network.eval()
    order = rows_for_norms(len(images.train), count)
    device = next(network.parameters()).device
    momenta = [m.momentum for m in norms]
    network.train()
    seen = 0
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        seen += len(rows)
        for m in norms:
            m.momentum = len(rows) / seen
        network(to_float(images.train.images[rows]).to(device))
    for m, momentum in zip(norms, momenta):
        m.momentum = momentum
    return network.eval()
