"""What is left of a network: masks as arrays, the channels still alive, and the number of parameters left. No torch.

A channel is dead if it is zero for every image: its own gate is closed, or all channels that it passes on are dead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from explorer.core.layer import Layer
from explorer.core.operators import Concat, Conv, Factorized, Linear, MBConv, Norm


@dataclass
class Masks:
    """What is kept, as boolean arrays (True: kept).

    Attributes:
        operations: names of the operations that run.
        filters: layer -> (channels,), its output channels; for an "mbconv" its middle channels. A layer without an
            entry keeps all.
        weights: layer -> tensor name -> (out, in, k, k). A tensor without an entry keeps all weights.
    """

    operations: set[str]
    filters: dict[str, np.ndarray] = field(default_factory=dict)
    weights: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True)
class Alive:
    """Channels that are not dead.

    Attributes:
        out: layer -> (cout,) bool, its output channels.
        mid: "mbconv" layer -> (mid,) bool, its middle channels.
    """

    out: dict[str, np.ndarray]
    mid: dict[str, np.ndarray]

    def into(self, layer: Layer) -> np.ndarray:
        """Return which input channels of a layer are alive, (cin,) bool; all of them if it reads the image."""
        if not layer.inputs:
            return np.ones(layer.cin, bool)
        parts = [self.out[source] for source in layer.inputs]
        return np.concatenate(parts) if isinstance(layer, Concat) else np.logical_or.reduce(parts)


def alive(layers: Sequence[Layer], filters: Mapping[str, np.ndarray]) -> Alive:
    """Find the channels that are alive, from the image to the classifier.

    Args:
        layers: the layers that run.
        filters: see `Masks`.
    """
    found = Alive({}, {})
    for layer in layers:
        own = filters.get(layer.name)
        came = found.into(layer)
        if isinstance(layer, Factorized | Linear | MBConv) or (isinstance(layer, Conv) and layer.groups == 1):
            out = np.ones(layer.cout, bool)
            if isinstance(layer, MBConv):
                found.mid[layer.name] = _middle(layer, own)
                own = None
        else:
            out = came
        found.out[layer.name] = out if own is None else out & own
    return found


def _middle(layer: MBConv, own: np.ndarray | None) -> np.ndarray:
    """Return the middle channels kept in a block.

    A block with as many middle as input channels is built without an expansion. If so many are left in a block that
    has one, one more channel is removed.
    """
    mid = np.ones(layer.mid, bool) if own is None else own.copy()
    if mid.sum() == layer.cin != layer.mid:
        mid[np.flatnonzero(mid)[-1]] = False
    return mid


def remaining(layers: Sequence[Layer], masks: Masks) -> int:
    """Count the parameters of the layers that run, without dead channels and masked weights."""
    channels, total = alive(layers, masks.filters), 0
    for layer in layers:
        total += _count(layer, masks.weights.get(layer.name, {}), channels)
    return total


def _count(layer: Layer, weights: Mapping[str, np.ndarray], channels: Alive) -> int:
    came, out = channels.into(layer), channels.out[layer.name]
    if isinstance(layer, Linear):
        return (int(came.sum()) + 1) * layer.cout
    if isinstance(layer, Norm):
        return 2 * int(out.sum()) * layer.affine
    if isinstance(layer, Conv | Factorized):
        own = sum(kept(rows, cols, size, weights.get(name)) for name, rows, cols, size in matrices(layer, came, out))
        return own + 2 * int(out.sum()) * (layer.affine and (not isinstance(layer, Conv) or layer.bn))
    if isinstance(layer, MBConv):
        mid = channels.mid[layer.name]
        total = sum(kept(rows, cols, size, weights.get(n)) for n, rows, cols, size in matrices(layer, came, out, mid))
        m = int(mid.sum())
        squeeze = 2 * m * layer.se + layer.se + m if layer.se else 0
        return total + squeeze + 2 * m * (1 + (layer.mid != layer.cin)) + 2 * int(out.sum())
    return 0


def matrices(
    layer: Layer, came: np.ndarray, out: np.ndarray, mid: np.ndarray | None = None
) -> list[tuple[str, np.ndarray, np.ndarray | None, int]]:
    """Return the weight tensors of a layer as (name in the built module, rows alive, columns alive, kernel size).

    Columns are None for a depthwise convolution.
    """
    if isinstance(layer, Factorized):
        first = layer.cout // 2
        return [("even", out[:first], came, 1), ("odd", out[first:], came, 1)]
    if isinstance(layer, Conv):
        name = "1" if layer.before != "none" else "0"
        return [(name, out, None if layer.groups > 1 else came, layer.kernel)]
    assert isinstance(layer, MBConv)
    assert mid is not None
    expand = [("expand", mid, came, 1)] if layer.mid != layer.cin else []
    return [*expand, ("depthwise", mid, None, layer.kernel), ("project", out, mid, 1)]


def kept(rows: np.ndarray, cols: np.ndarray | None, kernel: int, mask: np.ndarray | None) -> int:
    """Count the unmasked weights in rows and columns that are alive."""
    if mask is None:
        return int(rows.sum()) * (1 if cols is None else int(cols.sum())) * kernel**2
    per = mask.reshape(*mask.shape[:2], -1).sum(2)
    return int(per[rows].sum()) if cols is None else int(rows.astype(float) @ per @ cols.astype(float))
