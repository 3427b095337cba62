"""Narrower cells between the stages of a search, so that later stages need less memory and time (needs torch).

Liu et al. 2025 ("MG-DARTS"): all nodes of a cell get one even width, the mean number of filters that are left if that
is at least half of the cell's width, else the largest number if that is, else half. The strongest filters stay, here
the same ones in every operation, because their outputs are added. Pruned operations get narrower, too, and may grow
again. What a cell passes on is as wide as what is left of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from explorer.core.operators import Add, Conv, Factorized
from explorer.pruning.masked import MaskedNetwork, cell_of
from explorer.pruning.masks import Masks, alive
from explorer.pruning.removal import copy_channels, smaller
from explorer.supernets.building import build

Channels = dict[str, np.ndarray]  # cell -> (width,) bool, the channels of its nodes that stay


def channels_left(model: MaskedNetwork, cells: Sequence[str]) -> Channels:
    """Return the channels of some cells that stay, for cells of which some go."""
    found: Channels = {}
    for cell in cells:
        width = next(layer.cout for layer in model.layers if isinstance(layer, Add) and cell_of(layer.name) == cell)
        running = [layer.name for layer in model.running if cell_of(layer.name) == cell]
        strengths = [s for name in running if (s := model.strengths(name)) is not None and len(s) == width]
        if not strengths:
            continue
        left = _width(width, [int((own > 0).sum()) for own in strengths])
        if left < width:
            found[cell] = _strongest(np.sum(strengths, 0), left)
    return found


def _width(width: int, left: Sequence[int]) -> int:
    """Return the even width of a cell from the numbers of filters that its layers have left."""
    for number in (round(float(np.mean(left))), max(left)):
        if number >= width / 2:
            return min(width, number + number % 2)
    return min(width, width // 2 + width // 2 % 2)


def _strongest(strengths: np.ndarray, count: int) -> np.ndarray:
    """Return which channels stay, (width,) bool: half of them of either half, as a factorised reduction needs it."""
    keep, first = np.zeros(len(strengths), bool), len(strengths) // 2
    for start, own in ((0, strengths[:first]), (first, strengths[first:])):
        keep[start + np.argsort(-own, kind="stable")[: count // 2]] = True
    return keep


@torch.no_grad()
def narrowed(model: MaskedNetwork, left: Channels) -> MaskedNetwork:
    """Build the same network with narrower cells; strengths, thresholds, masks and weights of what stays are copied.

    Args:
        model: the network before.
        left: see `channels_left`.
    """
    own = {
        layer.name: left[cell_of(layer.name)] for layer in model.layers
        if isinstance(layer, Conv | Factorized) and layer.cout == len(left.get(cell_of(layer.name), ()))
    }  # fmt: skip
    channels = alive(model.layers, own)
    layers = smaller(model.layers, channels)
    network = build(layers)
    network.preprocess = model.network.preprocess
    weights = copy_channels(model.layers, channels, model.network, network, model.masks, fold=False)
    new = MaskedNetwork(layers, network, model.granularities)
    new.inherit(model, channels)
    filters = {name: mask[channels.out[name]] for name, mask in model.masks.filters.items()}
    new.commit(Masks(set(model.masks.operations), filters, {n: own for n, own in weights.items() if own}))
    return new
