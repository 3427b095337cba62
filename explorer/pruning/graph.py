"""The operations that can be removed from a list of layers, and the layers that are left without some of them.

An *operation* is a chain of layers that feeds one input of a sum and nothing else (an edge of a cell), or a block that
its own shortcut can replace. They are found in any network of `Layer`s; weights play no role here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from explorer.core.layer import Layer
from explorer.core.operators import Add, Conv, GlobalPool, Linear, MBConv, Pooling


@dataclass(frozen=True)
class Operation:
    """A part of a network that can be removed as a whole.

    Attributes:
        name: name of its last layer.
        layers: names of the layers that belong to this operation alone, in order.
        node: name of the sum that it feeds; its own name for a block with a shortcut.
        kind: what it computes, whatever its position, such as "conv k3 x2"; regrowing compares operations by kind.
    """

    name: str
    layers: tuple[str, ...]
    node: str
    kind: str


def operations_of(layers: Sequence[Layer]) -> dict[str, Operation]:
    """Return name -> operation, in the order of the layers; an input that feeds a sum directly is not an operation."""
    by_name = {layer.name: layer for layer in layers}
    readers = Counter(source for layer in layers for source in layer.inputs)
    found = {}
    for layer in layers:
        if isinstance(layer, MBConv) and layer.residual:
            found[layer.name] = Operation(layer.name, (layer.name,), layer.name, f"mbconv k{layer.kernel}")
        if not isinstance(layer, Add):
            continue
        for last in layer.inputs:
            chain, name = [], last
            while readers[name] == 1 and not by_name[name].many_inputs:
                chain.append(name)
                sources = by_name[name].inputs
                if len(sources) != 1:
                    break
                name = sources[0]
            if chain:
                found[last] = Operation(last, tuple(reversed(chain)), layer.name, _kind([by_name[n] for n in chain]))
    return found


def _kind(chain: Sequence[Layer]) -> str:
    dilation = {x.name: x.dilation if isinstance(x, Conv) else 1 for x in chain}
    widest = max(chain, key=lambda x: (x.kernel, dilation[x.name]))
    pooled = [x.op for x in chain if isinstance(x, Pooling)]
    if pooled or widest.kernel == 1:
        return f"{pooled[0]} {widest.kernel}" if pooled else "skip"
    dilated = " dilated" * (dilation[widest.name] > 1)
    return f"conv k{widest.kernel}{dilated} x{sum(x.kernel > 1 for x in chain)}"


def without(layers: Sequence[Layer], gone: Collection[str], operations: dict[str, Operation]) -> list[Layer]:
    """Return the layers that run when some operations are removed.

    A removed block with a shortcut is replaced by the shortcut; layers whose output is not used any more are removed
    too.

    Args:
        layers: all layers of the network.
        gone: names of the removed operations.
        operations: see `operations_of`.

    Raises:
        ValueError: a sum would have no input.
    """
    dead = {name for key in gone for name in operations[key].layers}
    instead: dict[str, str] = {}  # removed block -> the layer that replaces it as an input
    kept = []
    for layer in layers:
        if layer.name in dead:
            if operations.get(layer.name, Operation("", (), "", "")).node == layer.name:
                source = layer.inputs[0]
                instead[layer.name] = instead.get(source, source)
            continue
        inputs = tuple(instead.get(source, source) for source in layer.inputs)
        if isinstance(layer, Add):
            inputs = tuple(source for source in inputs if source not in dead)
            if not inputs:
                raise ValueError(f"sum {layer.name!r} would have no input")
            layer = replace(layer, joins=len(inputs))
        kept.append(replace(layer, inputs=inputs))
    return read_only(kept)


def read_only(layers: Sequence[Layer]) -> list[Layer]:
    """Drop the layers whose output is not used; the last layer gives the network's output."""
    needed, kept = {layers[-1].name}, []
    for layer in reversed(layers):
        if layer.name in needed:
            kept.append(layer)
            needed.update(layer.inputs)
    return kept[::-1]


def prefix(layers: Sequence[Layer], last: str, classes: int) -> list[Layer]:
    """Return the network up to layer `last`, followed by a classifier head of its own."""
    ends = next(i for i, layer in enumerate(layers) if layer.name == last)
    body = layers[: ends + 1]
    c, size = body[-1].cout, body[-1].size_out
    head = [
        GlobalPool(c, c, size, name=f"{last}.pool", inputs=(last,)),
        Linear(c, classes, 1, name=f"{last}.classifier", inputs=(f"{last}.pool",)),
    ]
    return read_only([*body, *head])
