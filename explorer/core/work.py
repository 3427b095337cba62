"""Cost features of a layer: the numbers of which its latency is modelled as a weighted sum.

There is one feature per kind of work: multiply-accumulates, activations read and written, weights, and a constant per
operator. Features add up over layers, so the same weights can be fitted to single blocks or to whole networks, and they
price shapes that were never measured. The features follow how a convolution is computed: 1x1 convolutions as matrix
products over tiles of pixels, depthwise ones row by row; activations that do not fit a core's cache are counted once
more.
"""

from __future__ import annotations

import numpy as np

from explorer.core.errors import unknown

TILE = 6  # pixels that a matrix kernel computes at once
IMAGE = 4  # maximum number of channels of an image
CACHE = 1 << 20  # bytes of activations that fit in a core's cache
DEPTHWISE = tuple(f"{what} k{k} s{s}" for k in (3, 5, 7) for s in (1, 2) for what in ("dw out", "dw rows"))
FEATURES = (
    "stem", "stem out", "1x1", "1x1 macs", "1x1 in", "1x1 out", "1x1 weights", "1x1 rows", "1x1 far", "1x1 big weights",
    "dw", "dw in", "dw channels", "dw far", *DEPTHWISE, "se", "se out", "se weights", "se channels",
    "hswish", "hswish out", "residual", "residual out", "vector", "vector weights", "pool", "pool in",
)  # fmt: skip
_PLACE = {name: i for i, name in enumerate(FEATURES)}


class Work:
    """Sums up features by name; `values` is (len(FEATURES),) float64."""

    def __init__(self) -> None:
        self.values = np.zeros(len(FEATURES))

    def add(self, name: str, value: float) -> Work:
        """Add `value` to one feature."""
        self.values[_PLACE[name]] += value
        return self

    def product(self, cin: int, cout: int, area: int) -> Work:
        """Add a 1x1 convolution over `area` pixels."""
        tiled = -(-area // TILE) * TILE
        self.add("1x1", 1).add("1x1 macs", cin * cout * tiled).add("1x1 in", cin * area).add("1x1 out", cout * area)
        self.add("1x1 weights", cin * cout).add("1x1 rows", cout * area**0.5)
        self.add("1x1 far", max(0, (cin + cout) * area - CACHE // 4))
        return self.add("1x1 big weights", max(0, cin * cout - CACHE // 32))

    def vector(self, cin: int, cout: int) -> Work:
        """Add a matrix-vector product: a linear layer, or a convolution of a 1x1 feature map."""
        return self.add("vector", 1).add("vector weights", cin * cout)

    def elementwise(self, count: float, times: int = 1) -> Work:
        """Add `times` elementwise passes over `count` values: a sum, a norm, a copy."""
        return self.add("residual", times).add("residual out", count * times)

    def by_channel(self, channels: int, kernel: int, stride: int, size: int, size_out: int) -> Work:
        """Add a standalone depthwise convolution or pooling.

        Kernels and strides outside the fitted range cost like the nearest fitted ones.
        """
        kernel, stride = min(max(kernel | 1, 3), 7), min(stride, 2)
        self.add("dw", 1).add(f"dw out k{kernel} s{stride}", channels * size_out**2)
        self.add(f"dw rows k{kernel} s{stride}", channels * size_out)
        return self.add("dw in", channels * size**2).add("dw channels", channels)

    def depthwise(self, channels: int, kernel: int, stride: int, size_out: int) -> Work:
        """Add the depthwise convolution inside a block.

        Raises:
            InputError: no feature describes this kernel and stride.
        """
        if f"dw out k{kernel} s{stride}" not in _PLACE:
            raise unknown("kernel and stride", f"k{kernel} s{stride}", ("k3, k5, k7 with s1, s2",))
        self.add("dw", 1).add(f"dw out k{kernel} s{stride}", channels * size_out**2)
        return self.add(f"dw rows k{kernel} s{stride}", channels * size_out)

    def hswish(self, count: float) -> Work:
        """Add one h-swish of `count` values."""
        return self.add("hswish", 1).add("hswish out", count)
