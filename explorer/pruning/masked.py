"""A network that learns which of its operations, filters and weights to keep (needs torch).

It is built from any list of layers: a cell network with every operation on every edge, or a plain network of the mobile
family with trained weights. `learned` returns everything with its threshold, `commit` prunes permanently, and
`removal.carve` builds the smaller network.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from explorer.core.errors import InputError
from explorer.core.layer import OPERATORS, Layer
from explorer.core.operators import (
    Add,
    Concat,
    Conv,
    Factorized,
    GlobalPool,
    Linear,
    MBConv,
    Norm,
    Pooling,
    Scatter,
    Zero,
)
from explorer.pruning.config import GRANULARITIES
from explorer.pruning.cutting import Learned, raised
from explorer.pruning.gates import Gate, Unit, WeightMask
from explorer.pruning.graph import operations_of, read_only, without
from explorer.pruning.masks import Alive, Masks, alive, kept, matrices
from explorer.supernets.plain import Network

BELOW = 0.999  # a threshold is at most this share of the least value that it keeps
KNOWN = (Add, Concat, Conv, Factorized, GlobalPool, Linear, MBConv, Norm, Pooling, Scatter, Zero)


class MaskedNetwork(nn.Module):
    """A plain network with gates and masks, which are put into its modules in place.

    Args:
        layers: all layers that may run, ending with the classifier.
        network: the plain network built from `layers`.
        granularities: which of "operation", "filter" and "weight" may be pruned.

    Attributes:
        operations: name -> operation, of all operations that may run.
        masks: what is not pruned; `commit` copies its arrays to the buffers of the modules.

    Raises:
        InputError: pruning does not support the operator of a layer.
    """

    def __init__(self, layers: Sequence[Layer], network: Network, granularities: Collection[str]) -> None:
        super().__init__()
        for layer in layers:
            if not isinstance(layer, KNOWN):
                raise InputError(
                    f"layer {layer.name!r} is a {layer.op}, which pruning does not support; choose a "
                    f"network of {', '.join(sorted(kind.op for kind in OPERATORS.values() if issubclass(kind, KNOWN)))}"
                )
        self.layers, self.granularities = list(layers), tuple(granularities)
        self.network = network
        self.operations = operations_of(layers)
        self.masks = Masks(set(self.operations))
        owner = {layer: op.name for op in self.operations.values() for layer in op.layers}
        self._owners = {layer.name: owner.get(layer.name, layer.name) for layer in layers}
        self._wide = {layer.name: layer.mid if isinstance(layer, MBConv) else layer.cout for layer in layers}
        self.units = nn.ModuleDict()
        self._gates: dict[str, Any] = {}
        self._weights: dict[str, dict[str, Any]] = {}  # layer -> tensor name -> convolution
        for layer in layers:
            if isinstance(layer, Conv | Norm | Factorized | MBConv) and layer.inputs:
                self._dress(layer, self._owners[layer.name])

    def _dress(self, layer: Layer, owner: str) -> None:
        """Put gates and masks into the module of a layer; `owner` is the operation (or lone layer) it belongs to."""
        searched = owner in self.operations
        unit = self._unit(owner, searched and "operation" in self.granularities)
        module: Any = self.network.block(layer.name)
        ends = owner == layer.name and searched
        by_filter = "filter" in self.granularities
        if isinstance(layer, MBConv):
            expands = by_filter and layer.mid != layer.cin  # otherwise the middle channels are the input's
            module.depthwise_norm = Gate(module.depthwise_norm, unit, layer.mid, expands, False)
            module.project_norm = Gate(module.project_norm, unit, layer.cout, False, ends)
            self._gates[layer.name] = module.depthwise_norm
        elif isinstance(layer, Norm):
            self.network.blocks[_safe(layer.name)] = Gate(module, unit, layer.cout, False, ends)
            self._gates[layer.name] = self.network.block(layer.name)
        elif isinstance(layer, Factorized):  # both halves stay whole: its filters are not pruned
            module.norm = self._gates[layer.name] = Gate(module.norm, unit, layer.cout, False, ends)
        elif isinstance(layer, Conv) and layer.bn and layer.act == "none" and layer.groups == 1:
            module[-1] = self._gates[layer.name] = Gate(module[-1], unit, layer.cout, by_filter, ends)
        if "weight" in self.granularities and not isinstance(layer, Norm):
            self._weights[layer.name] = {}
            for name, conv in convolutions(layer, module):
                parametrize.register_parametrization(conv, "weight", WeightMask(conv.weight, unit), unsafe=True)
                self._weights[layer.name][name] = conv

    def _unit(self, owner: str, learns: bool) -> Any:
        if _safe(owner) not in self.units:
            self.units[_safe(owner)] = Unit(learns)
        return self.units[_safe(owner)]

    def unit(self, name: str) -> Any:
        """Return the unit (strength and thresholds) of an operation, or of a layer outside any operation."""
        return self.units[_safe(name)]

    @property
    def running(self) -> list[Layer]:
        """The layers that run with the current masks."""
        return self.upto(None)

    def upto(self, last: str | None, masks: Masks | None = None) -> list[Layer]:
        """Return the layers that run to compute layer `last` (None: the network's output), under `masks` if given."""
        gone = set(self.operations) - (masks or self.masks).operations
        layers = without(self.layers, gone, self.operations)
        if last is None:
            return layers
        return read_only(layers[: 1 + next(i for i, layer in enumerate(layers) if layer.name == last)])

    def forward(self, images: Tensor, last: str | None = None) -> Tensor:
        """(n, c, h, w) in [0, 1] -> logits (n, classes) or, if `last` is given, the output of that layer."""
        layers = self.upto(last)
        self.network.names = [layer.name for layer in layers]
        self.network.inputs = {layer.name: layer.inputs for layer in layers}
        return self.network.outputs(images, [layers[-1].name])[0]

    def size_loss(self, layers: Sequence[Layer], mu: float) -> Tensor:
        """Return the size loss of MG-DARTS: R_size of the operations among some layers, plus R_thr of their thresholds.

        Args:
            layers: the layers that run and are searched now.
            mu: weight of an operation's parameters relative to the mean over operations; filters count in proportion
                to their strengths.
        """
        running = {layer.name: layer for layer in layers}
        owners = {n: op for op in self.operations.values() if op.name in running for n in op.layers}
        shares: dict[str, Tensor] = {}
        costs: dict[str, Any] = {}
        nodes: dict[str, list[str]] = {}
        thresholds: list[Tensor] = []
        for name in dict.fromkeys(owners[n].name if n in owners else n for n in running):
            if _safe(name) not in self.units:
                continue
            unit = self.unit(name)
            active = {"filter": unit.t_filter, "weight": unit.t_weight}
            thresholds += [t for granularity, t in active.items() if granularity in self.granularities]
            if unit.strength is not None:
                thresholds.append(unit.t_operation)
                shares[name] = torch.sigmoid(unit.strength)
                nodes.setdefault(self._group(name), []).append(name)
                costs[name] = sum(self._cost(running[n]) for n in self.operations[name].layers)
        loss = torch.exp(-torch.stack(thresholds)).sum() if thresholds else torch.zeros(())
        if shares:
            mean = torch.stack([torch.as_tensor(c) for c in costs.values()]).mean().detach()
            for members in nodes.values():
                own = torch.stack([shares[n] for n in members])
                cost = torch.stack([torch.as_tensor(costs[n]) for n in members]) / mean
                loss = loss + (torch.log(1 + len(members) * own / own.sum()) * (1 + mu * cost)).sum()
        return loss

    def _group(self, name: str) -> str:
        """Return the group in which an operation is compared: the sum that it feeds, or all blocks with shortcuts."""
        node = self.operations[name].node
        return "blocks" if node == name else node

    def _cost(self, layer: Layer) -> Tensor:
        gate = self._gates.get(layer.name)
        full = torch.tensor(float(layer.params()))
        return full if gate is None or gate.filters is None else full * 2 * torch.sigmoid(gate.filters).mean()

    @torch.no_grad()
    def learned(self, layers: Sequence[Layer]) -> Learned:
        """Return the values and thresholds of everything in some layers that is not pruned yet."""
        names = {layer.name for layer in layers}
        found = Learned({}, {}, {})
        for name in self.masks.operations & names:
            unit = self.unit(name)
            if unit.strength is not None:
                found.operations[name] = float(torch.sigmoid(unit.strength)), float(unit.t_operation)
        for name, gate in self._gates.items():
            if name in names and gate.filters is not None:
                own = torch.where(gate.keep > 0, torch.sigmoid(gate.filters), -torch.inf)
                found.filters[name] = own.cpu().numpy(), float(self._owner(name).t_filter)
        for name, convs in self._weights.items():
            if name in names:
                at = float(self._owner(name).t_weight)
                found.weights[name] = {k: (_magnitudes(conv), at) for k, conv in convs.items()}
        return found

    @torch.no_grad()
    def strengths(self, layer: str) -> np.ndarray | None:
        """Return the strength of every filter of a layer, (channels,), 0 where pruned; None where none is learned."""
        gate = self._gates.get(layer)
        if gate is None or gate.filters is None:
            return None
        own: np.ndarray = (torch.sigmoid(gate.filters) * gate.keep).cpu().numpy()
        return own

    @torch.no_grad()
    def inherit(self, other: MaskedNetwork, channels: Alive) -> None:
        """Take over what another network has learned, of which this one has some channels."""
        self.units.load_state_dict(other.units.state_dict())
        self._wide = other._wide
        for name, gate in self._gates.items():
            if gate.filters is not None:
                gate.filters.copy_(other._gates[name].filters[torch.from_numpy(np.flatnonzero(channels.out[name]))])
        for name, convs in self._weights.items():
            for key, conv in convs.items():
                before = other._weights[name][key].parametrizations.weight[0]
                conv.parametrizations.weight[0].spread.copy_(before.spread)

    @torch.no_grad()
    def settle(self, layers: Sequence[Layer], factor: float) -> None:
        """Move the thresholds of some layers to where they were cut, but below everything that was kept.

        So nothing that is counted as kept is switched off by its threshold.

        Args:
            layers: the layers that are searched now.
            factor: the factor on all thresholds at which they were cut.
        """
        found, kept = self.learned(layers), dict[tuple[str, str], float]()

        def note(owner: str, threshold: str, least: float) -> None:
            kept[owner, threshold] = min(least, kept.get((owner, threshold), np.inf))

        for name, (value, _) in found.operations.items():
            note(name, "t_operation", value)
        for name, (values, _) in found.filters.items():
            note(self._owners[name], "t_filter", _least(values))
        for name, tensors in found.weights.items():
            note(self._owners[name], "t_weight", min(_least(values) for values, _ in tensors.values()))
        for (owner, threshold), least in kept.items():
            t = getattr(self.unit(owner), threshold)
            t.fill_(min(factor * raised(float(t)), BELOW * least))

    def _owner(self, layer: str) -> Any:
        return self.unit(self._owners[layer])

    def commit(self, masks: Masks) -> None:
        """Prune permanently what the masks do not keep, and every channel that is dead as a result."""
        self.masks = masks
        channels = alive(self.running, masks.filters)
        for name, keep in (channels.out | channels.mid).items():
            if name in self._gates:
                self._gates[name].keep.copy_(torch.from_numpy(keep.astype(np.float32)))
        for name, tensors in masks.weights.items():
            for key, keep in tensors.items():
                mask = self._weights[name][key].parametrizations.weight[0].keep
                mask.copy_(torch.from_numpy(keep.astype(np.float32)))

    def left(self) -> dict[str, dict[str, list[int]]]:
        """Return cell -> granularity -> [number left, number in all].

        All operations count, but only the filters of layers that still run, and the weights between channels alive.
        """
        running = self.running
        channels = alive(running, self.masks.filters)
        found: dict[str, dict[str, list[int]]] = {}

        def count(name: str, granularity: str, some: int, every: int) -> None:
            row = found.setdefault(cell_of(name), {g: [0, 0] for g in GRANULARITIES})[granularity]
            row[0] += some
            row[1] += every

        names = {layer.name for layer in running}  # an unused layer does not run, whatever its mask says
        for name in self.operations:
            count(name, "operation", int(name in names), 1)
        for layer in running:
            gate = self._gates.get(layer.name)
            out = channels.mid.get(layer.name, channels.out[layer.name])
            if gate is not None and gate.filters is not None:
                count(layer.name, "filter", int(out.sum()), self._wide[layer.name])
            if layer.name in self.masks.weights:
                both = channels.into(layer), channels.out[layer.name], channels.mid.get(layer.name)
                for name, rows, cols, kernel in matrices(layer, *both):
                    mask = self.masks.weights[layer.name].get(name)
                    count(layer.name, "weight", kept(rows, cols, kernel, mask), kept(rows, cols, kernel, None))
        return found

    def ratios(self) -> dict[str, float]:
        """Return the share of each granularity that is left in all cells together; 1 if there is nothing of it."""
        sums = {g: np.sum([row[g] for row in self.left().values()] or [[0, 0]], 0) for g in GRANULARITIES}
        return {g: float(some / every) if every else 1.0 for g, (some, every) in sums.items()}

    @torch.no_grad()
    def renew(self, layer: str) -> None:
        """Give a layer fresh weights, none of them masked."""
        for module in self.network.block(layer).modules():
            part: Any = module
            if isinstance(module, WeightMask):
                part.keep.fill_(1)
            elif isinstance(module, nn.Conv2d):
                weight = part.parametrizations.weight.original if parametrize.is_parametrized(part) else part.weight
                nn.init.kaiming_normal_(weight, mode="fan_out")
            elif isinstance(module, nn.BatchNorm2d):
                part.reset_parameters()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return the parameters by role: "strengths", "thresholds", "weight thresholds" and "weights"."""
        found: dict[str, list[nn.Parameter]] = {
            "strengths": [],
            "thresholds": [],
            "weight thresholds": [],
            "weights": [],
        }
        for name, p in self.named_parameters():
            last = name.rsplit(".", 1)[-1]
            kind = {"strength": "strengths", "filters": "strengths", "t_operation": "thresholds",
                    "t_filter": "thresholds", "t_weight": "weight thresholds"}.get(last, "weights")  # fmt: skip
            found[kind].append(p)
        return found


def _magnitudes(conv: Any) -> np.ndarray:
    mask = conv.parametrizations.weight[0]
    own = mask.magnitude(conv.parametrizations.weight.original)
    return torch.where(mask.keep > 0, own, -torch.inf).cpu().numpy()


def _least(values: np.ndarray) -> float:
    return float(values[np.isfinite(values)].min(initial=np.inf))


def convolutions(layer: Layer, module: Any) -> Iterator[tuple[str, Any]]:
    """Yield (name, module) of every convolution whose weights can be masked; names as in `masks.matrices`."""
    if isinstance(layer, MBConv):
        names = ["expand", "depthwise", "project"]
    elif isinstance(layer, Factorized):
        names = ["even", "odd"]
    elif isinstance(layer, Conv):
        names = ["1" if layer.before != "none" else "0"]
    else:
        return
    for name in names:
        conv = getattr(module, name)
        if conv is not None:
            yield name, conv


def cell_of(name: str) -> str:
    """Return the cell or block of a layer: the first two parts of its name."""
    return ".".join(name.split(".")[:2])


def _safe(name: str) -> str:
    return name.replace(".", "-")
