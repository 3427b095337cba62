"""Conversion of a masked network to a smaller plain network with the same outputs (needs torch).

Pruned operations and channels are removed, which makes the network faster on any runtime. Masked weights become zeros,
which saves no time; their masks are returned too, so that further training can keep them at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from explorer.core.layer import Layer
from explorer.core.operators import Add, Conv, Factorized, Linear, MBConv, Norm, Scatter
from explorer.pruning.gates import Gate
from explorer.pruning.masked import MaskedNetwork, convolutions
from explorer.pruning.masks import Alive, Masks, alive
from explorer.supernets.building import build
from explorer.supernets.plain import Network

WeightMasks = dict[str, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Carved:
    """A plain network from which the pruned parts were removed.

    Attributes:
        layers: the network's layers.
        network: the plain network, in evaluation mode.
        masks: layer -> tensor name -> bool (True: kept), for tensors with weight masks.
    """

    layers: list[Layer]
    network: Network
    masks: WeightMasks

    @property
    def masked(self) -> int:
        """Number of masked weights, which stay zero."""
        return sum(int((~mask).sum()) for tensors in self.masks.values() for mask in tensors.values())

    @property
    def params(self) -> int:
        """Number of parameters that are not masked."""
        return sum(p.numel() for p in self.network.parameters()) - self.masked


@torch.no_grad()
def carve(masked: MaskedNetwork) -> Carved:
    """Build the plain network without the pruned parts; in evaluation mode it has the same outputs.

    Learned scales are folded into the batch norms or, where an activation follows, into the next convolution.
    """
    channels = alive(masked.running, masked.masks.filters)
    layers = smaller(masked.running, channels)
    network = build(layers)
    network.preprocess = masked.network.preprocess
    masks = copy_channels(masked.running, channels, masked.network, network, masked.masks, fold=True)
    return Carved(layers, network.eval(), {name: tensors for name, tensors in masks.items() if tensors})


@torch.no_grad()
def copy_channels(
    layers: Sequence[Layer], channels: Alive, plain: Network, network: Network, masks: Masks, fold: bool
) -> WeightMasks:
    """Copy the weights of the channels that are alive to a network that has only these.

    Args:
        layers: the layers before.
        channels: their channels that are alive.
        plain: the network before, with gates and masks.
        network: the network of the `smaller` layers.
        masks: what was pruned before.
        fold: whether learned scales are folded into the weights, and pruned weights copied as zeros.

    Returns:
        Layer -> tensor name -> the masks of the copied weights.
    """
    found: WeightMasks = {}
    for layer in layers:
        came, out = _index(channels.into(layer)), _index(channels.out[layer.name])
        module: Any = plain.block(layer.name)
        new: Any = network.block(layer.name)
        weights = masks.weights.get(layer.name, {})
        if isinstance(layer, Linear):
            new.weight.copy_(module.weight[:, came])
            new.bias.copy_(module.bias)
        elif isinstance(layer, Norm):
            _norm(module, new, out, fold)
        elif isinstance(layer, Conv | Factorized):
            found[layer.name] = {}
            for name, conv in convolutions(layer, module):
                rows, columns = _rows(layer, name, out), came
                if isinstance(layer, Conv) and layer.groups > 1:
                    columns = torch.tensor([0])
                getattr(new, name).weight.copy_(_weight(conv, fold)[rows][:, columns])
                if name in weights:
                    found[layer.name][name] = weights[name][rows.numpy()][:, columns.numpy()]
            if isinstance(layer, Factorized):
                _norm(module.norm, new.norm, out, fold)
            elif layer.bn:
                _norm(module[-1], new[-1], out, fold)
        elif isinstance(layer, MBConv):
            found[layer.name] = _mbconv(layer, module, new, _index(channels.mid[layer.name]), weights)
    return found


def _rows(layer: Layer, name: str, out: Tensor) -> Tensor:
    """Return the rows of weights that make the channels `out`; a reduction has half of them in "even" and "odd"."""
    if not isinstance(layer, Factorized):
        return out
    first = layer.cout // 2
    return out[out < first] if name == "even" else out[out >= first] - first


def _weight(conv: Any, fold: bool) -> Tensor:
    """Return the weights of a convolution: with pruned ones as zeros, or as they are under their mask."""
    masked = parametrize.is_parametrized(conv) and not fold
    weight: Tensor = conv.parametrizations.weight.original if masked else conv.weight
    return weight


def smaller(layers: Sequence[Layer], channels: Alive) -> list[Layer]:
    """Return the layers without dead channels; an input that lacks channels of its sum gets a "scatter" layer."""
    found: list[Layer] = []
    for layer in layers:
        out = channels.out[layer.name]
        inputs = layer.inputs
        if isinstance(layer, Add):
            inputs = tuple(_scattered(found, source, channels.out[source], out) for source in layer.inputs)
        cin, cout = int(channels.into(layer).sum()), int(out.sum())
        changed = replace(layer, cin=cin, cout=cout, inputs=inputs)
        if isinstance(changed, MBConv):
            changed = replace(changed, mid=int(channels.mid[layer.name].sum()))
        elif isinstance(changed, Conv) and changed.groups > 1:
            changed = replace(changed, groups=cout)
        found.append(changed)
    return found


def _scattered(found: list[Layer], source: str, own: np.ndarray, node: np.ndarray) -> str:
    if (own == node).all():
        return source
    before = next(layer for layer in reversed(found) if layer.name == source)
    places = tuple(int(i) for i in np.flatnonzero(own[node]))
    name = f"{source}.scatter"
    found.append(Scatter(before.cout, int(node.sum()), before.size_out, name=name, inputs=(source,),
                       places=places))  # fmt: skip
    return name


def _index(keep: np.ndarray) -> Tensor:
    return torch.from_numpy(np.flatnonzero(keep))


def _norm(gate: Any, new: Any, out: Tensor, fold: bool = True) -> None:
    """Copy a batch norm, with its gate's scales folded in where asked for."""
    norm: Any = gate.norm if isinstance(gate, Gate) else gate
    scale = gate.scales() if fold and isinstance(gate, Gate) else torch.ones(len(norm.weight))
    new.weight.copy_((norm.weight * scale)[out])
    new.bias.copy_((norm.bias * scale)[out])
    new.running_mean.copy_(norm.running_mean[out])
    new.running_var.copy_(norm.running_var[out])


def _mbconv(layer: Layer, old: Any, new: Any, mid: Tensor, weights: dict) -> dict[str, np.ndarray]:
    rows = {"expand": mid, "depthwise": mid}
    for name in ("expand", "depthwise"):
        if getattr(old, name) is not None:
            getattr(new, name).weight.copy_(getattr(old, name).weight[mid])
    scale = old.depthwise_norm.scales()
    new.project.weight.copy_((old.project.weight * scale.view(1, -1, 1, 1))[:, mid])
    if old.expand_norm is not None:
        _norm(old.expand_norm, new.expand_norm, mid)
    _norm(old.depthwise_norm.norm, new.depthwise_norm, mid)
    _norm(old.project_norm, new.project_norm, torch.arange(layer.cout))
    if old.se is not None:
        new.se.reduce.weight.copy_((old.se.reduce.weight * scale.view(1, -1, 1, 1))[:, mid])
        new.se.reduce.bias.copy_(old.se.reduce.bias)
        new.se.expand.weight.copy_(old.se.expand.weight[mid])
        new.se.expand.bias.copy_(old.se.expand.bias[mid])
    kept = mid.numpy()
    return {n: mask[kept] if n in rows else mask[:, kept] for n, mask in weights.items()}
