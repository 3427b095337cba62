"""What a layer does, as numbers that a latency can be a weighted sum of.

One entry per kind of work: multiply-accumulates, activations read and written, weights, and a constant per operator.
Every entry adds up over layers, so the same weights can be fitted to single blocks or to whole networks, and they price
shapes that nobody measured. The list follows how a convolution is computed: 1x1 convolutions as products over tiles of
pixels, depthwise ones by rows, and activations that do not fit a core's cache once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from explorer.core.errors import unknown
from explorer.core.layer import OPERATORS, Layer

TILE = 6  # pixels that a matrix kernel computes at once
IMAGE = 4  # channels of an image at most
CACHE = 1 << 20  # bytes of activations that stay near a core
DEPTHWISE = tuple(f"{what} k{k} s{s}" for k in (3, 5, 7) for s in (1, 2) for what in ("dw out", "dw rows"))
FEATURES = (
    "stem", "stem out", "1x1", "1x1 macs", "1x1 in", "1x1 out", "1x1 weights", "1x1 rows", "1x1 far", "1x1 big weights",
    "dw", "dw in", "dw channels", "dw far", *DEPTHWISE, "se", "se out", "se weights", "se channels",
    "hswish", "hswish out", "residual", "residual out", "vector", "vector weights", "pool", "pool in",
)  # fmt: skip


@lru_cache(100_000)
def features(layer: Layer) -> np.ndarray:
    """(len(FEATURES),) float64 of one layer.

    Raises:
        InputError: an operator, kernel or stride that the list does not know.
    """
    work = _Work()
    area, out = layer.size**2, layer.size_out**2
    if layer.op == "mbconv":
        _mbconv(work, layer, area, out)
    elif layer.op in ("avgpool", "maxpool") or (layer.op == "conv" and layer.groups > 1):
        _by_channel(work, layer, area, out)
    elif layer.op in ("norm", "add", "concat", "scatter", "zero"):
        work.add("residual", max(1, layer.joins - 1)).add("residual out", layer.cout * out * max(1, layer.joins - 1))
    elif layer.op == "factorized":
        work.product(layer.cin, layer.cout, out)
    elif layer.op == "conv" and layer.kernel > 1 and layer.cin > IMAGE:
        work.product(layer.kernel**2 * layer.cin, layer.cout, out)
    elif layer.op == "conv" and layer.size == 1:
        work.add("vector", 1).add("vector weights", layer.cin * layer.cout)
    elif layer.op == "conv" and layer.kernel == 1:
        work.product(layer.cin, layer.cout, area)
        if layer.act == "hswish":
            work.add("hswish", 1).add("hswish out", layer.cout * area)
    elif layer.op == "conv":
        work.add("stem", 1).add("stem out", layer.cout * out)
    elif layer.op == "linear":
        work.add("vector", 1).add("vector weights", layer.cin * layer.cout)
    elif layer.op == "pool":
        work.add("pool", 1).add("pool in", layer.cin * area)
    else:
        raise unknown("operator", layer.op, OPERATORS)
    work.values.setflags(write=False)
    return work.values


def design(networks: Sequence[Sequence[Layer]]) -> np.ndarray:
    """(n, len(FEATURES)): the sum over each network's layers."""
    return np.array([sum(map(features, layers), np.zeros(len(FEATURES))) for layers in networks])


class _Work:
    """Adds up features by name."""

    def __init__(self) -> None:
        self.values = np.zeros(len(FEATURES))

    def add(self, name: str, value: float) -> _Work:
        self.values[FEATURES.index(name)] += value
        return self

    def product(self, cin: int, cout: int, area: int) -> None:
        """A 1x1 convolution over `area` pixels."""
        tiled = -(-area // TILE) * TILE
        self.add("1x1", 1).add("1x1 macs", cin * cout * tiled).add("1x1 in", cin * area).add("1x1 out", cout * area)
        self.add("1x1 weights", cin * cout).add("1x1 rows", cout * area**0.5)
        self.add("1x1 far", max(0, (cin + cout) * area - CACHE // 4))
        self.add("1x1 big weights", max(0, cin * cout - CACHE // 32))


def fitted_kind(layer: Layer) -> bool:
    """Whether layers of this kind were among those that devices are fitted to: what the mobile family is made of."""
    plain = layer.op == "conv" and layer.groups == 1 and (layer.kernel == 1 or layer.cin <= IMAGE)
    return plain or layer.op in ("mbconv", "pool", "linear")


def _by_channel(work: _Work, layer: Layer, area: int, out: int) -> None:
    """A depthwise convolution or a pooling that stands alone; other kernels and strides than the fitted ones cost like
    the nearest of them."""
    kernel, stride = min(max(layer.kernel | 1, 3), 7), min(layer.stride, 2)
    work.add("dw", 1).add(f"dw out k{kernel} s{stride}", layer.cout * out)
    work.add(f"dw rows k{kernel} s{stride}", layer.cout * layer.size_out)
    work.add("dw in", layer.cin * area).add("dw channels", layer.cin)


def _mbconv(work: _Work, layer: Layer, area: int, out: int) -> None:
    mid = layer.mid
    for kernel, channels in layer.depthwise:
        if f"dw out k{kernel} s{layer.stride}" not in FEATURES:
            raise unknown("kernel and stride", f"k{kernel} s{layer.stride}", ("k3, k5, k7 with s1, s2",))
        work.add("dw", 1)
        work.add(f"dw out k{kernel} s{layer.stride}", channels * out)
        work.add(f"dw rows k{kernel} s{layer.stride}", channels * layer.size_out)
    if mid != layer.cin:
        work.product(layer.cin, mid, area)
    work.add("dw in", mid * area).add("dw channels", mid)
    work.add("dw far", max(0, mid * (area + out) - CACHE // 4))
    if layer.se:
        work.add("se", 1).add("se out", mid * out).add("se weights", mid * layer.se).add("se channels", mid)
    if layer.act == "hswish":
        work.add("hswish", 1).add("hswish out", mid * (out + (area if mid != layer.cin else 0)))
    work.product(mid, layer.cout, out)
    if layer.residual:
        work.add("residual", 1).add("residual out", layer.cout * out)
