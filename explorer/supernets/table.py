"""The counterpart of a supernet for a table space: every network has its own weights (needs torch)."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from torch import Tensor, nn

from explorer.core.architecture import Architecture, choices_of
from explorer.spaces import TableSpace
from explorer.supernets.building import build
from explorer.supernets.plain import Network


class TableNetworks(nn.Module):
    """Independent networks with the interface of a supernet.

    Args:
        space: a `TableSpace`.
        mean, std: normalisation of the images, per channel.
        seed: seed of the initial weights.
    """

    def __init__(self, space: TableSpace, mean: Sequence[float], std: Sequence[float], seed: int = 0) -> None:
        super().__init__()
        self.space = space
        self.networks = nn.ModuleList([build(layers, mean, std, seed) for layers in space.networks.values()])

    def forward(self, images: Tensor, architecture: Architecture | np.ndarray | Sequence[int]) -> Tensor:
        """(n, c, h, w) in [0, 1] -> logits (n, classes)."""
        return self._of(architecture)(images)

    def subnet(self, architecture: Architecture | np.ndarray | Sequence[int]) -> Network:
        """Return a copy of one network."""
        return copy.deepcopy(self._of(architecture))

    def _of(self, architecture: Architecture | np.ndarray | Sequence[int]) -> Network:
        network = self.networks[choices_of(architecture)[0]]
        assert isinstance(network, Network)
        return network
