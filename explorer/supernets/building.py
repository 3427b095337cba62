"""Build plain networks from lists of layers, with fast forms of their modules where there are any (see `forms`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module

import torch
from torch import nn

from explorer.core.layer import Layer
from explorer.supernets.forms import use
from explorer.supernets.plain import MODULES, Network, Preprocess


def load_modules(layers: Iterable[Layer]) -> None:
    """Register the torch modules of operators from other packages, which name them in `Layer.module`."""
    for layer in layers:
        if layer.op not in MODULES and layer.module:
            place, _, name = layer.module.partition(":")
            MODULES[layer.op] = getattr(import_module(place), name)


def network_of(layers: Sequence[Layer], preprocess: Preprocess) -> Network:
    """Build a plain network with torch's default random weights.

    Args:
        layers: the network's layers, as `space.layers(architecture)` returns them.
        preprocess: normalisation and resizing of the images.

    Raises:
        ValueError: no torch module is registered for a layer's operator.
    """
    load_modules(layers)
    network = Network(layers, preprocess)
    use(network)
    return network


def build(
    layers: Sequence[Layer], mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,), seed: int | None = None
) -> Network:
    """Build a plain network with fresh random weights (He initialisation with fan-out, as in once-for-all).

    Args:
        layers: the network's layers, as `space.layers(architecture)` returns them.
        mean, std: normalisation of the images, per channel (or one value for all).
        seed: seed of the weights; None starts from torch's current random state. Either way that state is unchanged
            afterwards.
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
    """Initialise weights in place: He fan-out for convolutions, normal (std 0.01) for linear layers, zero biases."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, 0, 0.01)
            nn.init.zeros_(m.bias)
