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

from explorer.core.layer import Layer
from explorer.core.operators import Add, Conv, Factorized, Linear, MBConv, Norm, Scatter
from explorer.pruning.gates import Gate
from explorer.pruning.masked import MaskedNetwork, convolutions
from explorer.pruning.masks import Alive, alive
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
    old = masked.running
    channels = alive(old, masked.masks.filters)
    layers = smaller(old, channels)
    plain = masked.network
    network = build(layers)
    network.preprocess = plain.preprocess
    masks: WeightMasks = {}
    by_name = {layer.name: layer for layer in layers}
    for layer in old:
        came, out = _index(channels.into(layer)), _index(channels.out[layer.name])
        module: Any = plain.block(layer.name)
        new: Any = network.block(layer.name)
        weights = masked.masks.weights.get(layer.name, {})
        if isinstance(layer, Linear):
            new.weight.copy_(module.weight[:, came])
            new.bias.copy_(module.bias)
        elif isinstance(layer, Norm):
            _norm(module, new, out)
        elif isinstance(layer, Factorized):
            masks[layer.name] = {}
            for name, conv in convolutions(layer, module):
                getattr(new, name).weight.copy_(conv.weight[:, came])
                if name in weights:
                    masks[layer.name][name] = weights[name][:, came.numpy()]
            _norm(module.norm, new.norm, out)
        elif isinstance(layer, Conv):
            masks[layer.name] = {}
            for name, conv in convolutions(layer, module):
                columns = came if layer.groups == 1 else torch.tensor([0])
                getattr(new, name).weight.copy_(conv.weight[out][:, columns])
                if name in weights:
                    masks[layer.name][name] = weights[name][out.numpy()][:, columns.numpy()]
            if layer.bn:
                _norm(module[-1], new[-1], out)
        elif isinstance(layer, MBConv):
            masks[layer.name] = _mbconv(by_name[layer.name], module, new, _index(channels.mid[layer.name]), weights)
    return Carved(layers, network.eval(), {name: tensors for name, tensors in masks.items() if tensors})


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


def _norm(gate: Any, new: Any, out: Tensor) -> None:
    """Copy a batch norm with its gate's scales folded in."""
    norm: Any = gate.norm if isinstance(gate, Gate) else gate
    scale = gate.scales() if isinstance(gate, Gate) else torch.ones(len(gate.weight))
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
