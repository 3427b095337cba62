"""`build(layers)`: a plain network from its list of layers, in the form that trains fastest here."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from explorer.core.layer import Layer
from explorer.supernets.forms import use
from explorer.supernets.plain import Network, Preprocess


def network_of(layers: Sequence[Layer], preprocess: Preprocess) -> Network:
    """A plain network with torch's own random weights.

    Args:
        layers: from `space.layers(architecture)`.
        preprocess: of the images.

    Raises:
        ValueError: a layer of an operator that no torch module runs.
    """
    network = Network(layers, preprocess)
    use(network)
    return network


def build(
    layers: Sequence[Layer], mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,), seed: int | None = None
) -> Network:
    """A plain network with fresh weights (He fan-out, as once-for-all).

    Args:
        layers: from `space.layers(architecture)`.
        mean, std: normalisation of the images, per channel (or one value for all).
        seed: of the weights; torch's own random state is left as it was.
    """
    first = layers[0]
    mean, std = (list(v) * (first.cin if len(v) == 1 else 1) for v in (mean, std))
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        network = network_of(layers, Preprocess(mean, std, first.size))
        initialise(network)
    return network.to(memory_format=torch.channels_last)


def initialise(module: nn.Module) -> None:
    """He fan-out for convolutions, small normal for linear layers, zero biases."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, 0, 0.01)
            nn.init.zeros_(m.bias)
