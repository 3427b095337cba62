"""What can be taken out of a network as a list of layers: operations, and what is left without some of them.

An *operation* is what feeds one input of a sum and nothing else (a cell's edge), or a block that its own shortcut
can replace. Any network of `Layer`s has them; nothing here knows weights.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from explorer.core.layer import Layer
from explorer.core.operators import Add, Conv, GlobalPool, Linear, MBConv, Pooling


@dataclass(frozen=True)
class Operation:
    """Something that can go as a whole.

    Attributes:
        name: of its last layer.
        layers: names of the layers that run for it alone, in order.
        node: the sum that it feeds; its own name where it is a block with a shortcut.
        kind: what it does, without its place: operations of one kind are compared when some are grown again.
    """

    name: str
    layers: tuple[str, ...]
    node: str
    kind: str


def operations_of(layers: Sequence[Layer]) -> dict[str, Operation]:
    """Name -> operation, in the order of the layers. An input that is handed on as it is, is no operation."""
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
    """The layers that run when some operations are gone.

    A block with a shortcut leaves the shortcut; whatever nobody reads any more goes as well.

    Raises:
        ValueError: a sum would have no input.
    """
    dead = {name for key in gone for name in operations[key].layers}
    instead: dict[str, str] = {}  # a block that is gone -> what its readers read
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
    """Without layers whose output nobody reads; the last one is the network's answer."""
    needed, kept = {layers[-1].name}, []
    for layer in reversed(layers):
        if layer.name in needed:
            kept.append(layer)
            needed.update(layer.inputs)
    return kept[::-1]


def prefix(layers: Sequence[Layer], last: str, classes: int) -> list[Layer]:
    """The network up to a layer, with a head of its own behind it."""
    ends = next(i for i, layer in enumerate(layers) if layer.name == last)
    body = layers[: ends + 1]
    c, size = body[-1].cout, body[-1].size_out
    head = [
        GlobalPool(c, c, size, name=f"{last}.pool", inputs=(last,)),
        Linear(c, classes, 1, name=f"{last}.classifier", inputs=(f"{last}.pool",)),
    ]
    return read_only([*body, *head])
