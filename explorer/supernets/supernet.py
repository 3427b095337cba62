"""Base class of the supernets: one module with shared weights per layer slot; no active subnet is stored.

`supernet(images, architecture)` runs an architecture with shared weights; `supernet.subnet(architecture)` extracts it
as a plain network with the same outputs. Which layers run is defined by `space.layers` alone.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from explorer.core.architecture import Architecture, choices_of
from explorer.core.layer import Layer
from explorer.core.operators import Conv, GlobalPool, Linear
from explorer.spaces.base import Space
from explorer.supernets.building import initialise, network_of
from explorer.supernets.elastic import ElasticClassifier, ElasticConv, ElasticPool, FixedModule
from explorer.supernets.plain import Network, Preprocess

KNOWN = 4096  # architectures whose layers are cached


class Supernet(nn.Module):
    """Shared weights of all architectures of a space; the last option of every decision gives its largest network.

    Args:
        space: already configured for the images (`space.for_images`).
        mean, std: normalisation of the images, per channel.
        seed: seed of the initial weights.
    """

    def __init__(self, space: Space, mean: Sequence[float], std: Sequence[float], seed: int = 0) -> None:
        super().__init__()
        self.space = space
        largest = space.layers([len(options) - 1 for options in space.decisions.values()])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.preprocess = Preprocess(mean, std, size=largest[0].size)
            self.blocks = nn.ModuleDict({layer.name.replace(".", "-"): self.make(layer) for layer in largest})
            initialise(self)
        self.to(memory_format=torch.channels_last)
        self._known: dict[tuple[int, ...], Any] = {}  # a dictionary can be pickled, `lru_cache` cannot

    def make(self, layer: Layer) -> nn.Module:
        """Create the elastic module of a layer at its largest size; subclasses override this for searched blocks."""
        if isinstance(layer, Conv):
            return ElasticConv(layer)
        if isinstance(layer, Linear):
            return ElasticClassifier(layer.cin, layer.cout)
        return ElasticPool() if isinstance(layer, GlobalPool) else FixedModule(layer)

    def layers(self, architecture: Architecture | np.ndarray | Sequence[int]) -> tuple[Layer, ...]:
        """Return `space.layers(architecture)`, cached."""
        key = choices_of(architecture)
        if key not in self._known:
            if len(self._known) >= KNOWN:
                self._known.clear()
            self._known[key] = self.space.layers(key)
        return self._known[key]

    def block(self, name: str) -> Any:
        """Return the elastic module with this layer name: call it with (x, layer), or get weights by `cut(layer)`."""
        return self.blocks[name.replace(".", "-")]

    def forward(self, images: Tensor, architecture: Architecture | np.ndarray | Sequence[int]) -> Tensor:
        """(n, c, h, w) float32 in [0, 1] -> logits (n, classes)."""
        layers = self.layers(architecture)
        x = self.preprocess(images, layers[0].size).contiguous(memory_format=torch.channels_last)
        for layer in layers:
            x = self.block(layer.name)(x, layer)
        return x

    def subnet(self, architecture: Architecture | np.ndarray | Sequence[int]) -> Network:
        """Return the plain network of an architecture with a copy of its inherited weights, in evaluation mode.

        Its batch norms are not recalibrated yet, see `recalibrate`.
        """
        layers = self.layers(architecture)
        p = self.preprocess
        preprocess = Preprocess(p.mean.flatten().tolist(), p.std.flatten().tolist(), layers[0].size)
        network = network_of(layers, preprocess)
        for layer in layers:
            state = {name: tensor.detach().clone() for name, tensor in self.block(layer.name).cut(layer).items()}
            network.block(layer.name).load_state_dict(state)
        device = next(self.parameters()).device
        return network.to(device).to(memory_format=torch.channels_last).eval()
