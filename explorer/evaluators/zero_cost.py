"""Published zero-cost scores, which need one or two passes and no training: baselines for random-weight evaluation.

All use the same protocol: the same random weights (by seed) and the same few training images. Higher is meant to be
better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.layer import Layer
from explorer.data.datasets import Split
from explorer.supernets.augment import to_float
from explorer.supernets.building import build
from explorer.supernets.plain import Network, NormAct

IMAGES = 64  # training images per score


def synflow(network: Network, images: Tensor, labels: Tensor) -> float:
    """Synaptic flow: log of the sum of |weight x gradient| of the output, for an image of ones.

    All weights are made positive, and batch norm does not normalise (Tanaka et al. 2020; as a score: Abdelfattah et
    al. 2021).
    """
    network.eval().double()  # with fresh running statistics, batch norm does nothing
    for p in network.parameters():
        p.data.abs_()
    std, mean = network.preprocess.std, network.preprocess.mean
    ones = torch.ones_like(images[:1]).double() * torch.as_tensor(std) + torch.as_tensor(mean)
    network(ones).sum().backward()
    parts = [(p * p.grad).sum() for p in network.parameters() if p.grad is not None]
    return float(torch.stack(parts).sum().clamp(min=1e-300).log().detach())


def naswot(network: Network, images: Tensor, labels: Tensor) -> float:
    """Log-determinant of the similarities of the images' activation patterns (Mellor et al. 2021)."""
    n = len(images)
    kernel = torch.zeros(n, n, dtype=torch.float64)

    def note(module: nn.Module, inputs: object, output: Tensor) -> None:
        on = (output.detach() > 0).flatten(1).float()
        off = 1 - on
        kernel.add_((on @ on.T + off @ off.T).double())

    hooks = [
        module.register_forward_hook(note)
        for module in network.modules()
        if isinstance(module, nn.ReLU | nn.Hardswish) or (isinstance(module, NormAct) and module.act != "none")
    ]
    with torch.no_grad():
        network.train()(images)
    for hook in hooks:
        hook.remove()
    return float(torch.linalg.slogdet(kernel)[1]) if hooks else -np.inf


def grad_norm(network: Network, images: Tensor, labels: Tensor) -> float:
    """Sum over weight tensors of the Euclidean norm of the loss gradient (Abdelfattah et al. 2021)."""
    F.cross_entropy(network.train()(images), labels).backward()
    return float(sum(p.grad.norm().detach() for p in network.parameters() if p.grad is not None))


def snip(network: Network, images: Tensor, labels: Tensor) -> float:
    """Sum of |weight x gradient| of the loss (Lee et al. 2019; as a score: Abdelfattah et al. 2021)."""
    F.cross_entropy(network.train()(images), labels).backward()
    return float(sum((p * p.grad).abs().sum().detach() for p in network.parameters() if p.grad is not None))


SCORES: dict[str, Callable[[Network, Tensor, Tensor], float]] = {
    "synflow": synflow, "naswot": naswot, "grad_norm": grad_norm, "snip": snip,
}  # fmt: skip


def zero_cost(
    layers: Sequence[Layer], train: Split, mean: Sequence[float], std: Sequence[float], name: str, seed: int = 0,
    images: int = IMAGES,
) -> float:  # fmt: skip
    """Compute one zero-cost score of a network with random weights.

    Args:
        layers: the network's layers.
        train: training images, of which the first are used.
        mean, std: normalisation of the images, per channel.
        name: a name in `SCORES`.
        seed: seed of the random weights.
        images: number of images to use.
    """
    network = build(layers, mean, std, seed)
    return SCORES[name](network, to_float(train.images[:images]), train.labels[:images])
