"""Batch-norm recalibration: inherited weights come with another network's statistics.

Wherever inherited weights are scored or exported, every norm's mean and variance are recomputed on a fixed draw of
training images (Cai et al. 2020: 2,000 images, fixed seed).
"""

import numpy as np
import torch
from torch import nn

from explorer.data.datasets import Images
from explorer.supernets.augment import to_float

SEED = 937162211  # once-for-all's


@torch.no_grad()
def recalibrate(network: nn.Module, images: Images, count: int = 2000, batch: int = 500) -> nn.Module:
    """Recompute the statistics of every batch norm, in place; returns the network in evaluation mode.

    Args:
        network: a plain network.
        images: `train` is used, without augmentation.
        count: number of images.
        batch: images per forward pass; statistics are averaged over passes, weighted by size.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    if not norms:
        return network.eval()
    order = np.random.default_rng(SEED).permutation(len(images.train))[:count]
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
