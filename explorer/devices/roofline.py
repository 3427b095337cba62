"""A modelled device: published peak figures, one roofline per primitive operator.

Every primitive (a convolution, a pooling, ...) takes the longer of its arithmetic and its memory traffic, plus a fixed
overhead (Williams, Waterman, Patterson 2009). It orders networks plausibly and is labelled `modelled` everywhere.
"""

from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.counts import macs
from explorer.layer import Layer


class Roofline(LayerDevice):
    """Latency from peak figures.

    Args:
        name: the device's name.
        provenance: of the figures.
        gflops: peak float32 arithmetic, 10^9 operations a second (one multiply-accumulate is two).
        bandwidth_gbs: peak memory bandwidth, 10^9 bytes a second.
        overhead_us: fixed time of one primitive operator, microseconds.
        batch: images at once; the latency is that of the whole batch.
    """

    def __init__(
        self, name: str, provenance: Provenance, gflops: float, bandwidth_gbs: float, overhead_us: float, batch: int
    ) -> None:
        super().__init__(name, "ms", provenance)
        self.gflops, self.bandwidth_gbs = gflops, bandwidth_gbs
        self.overhead_us, self.batch = overhead_us, batch

    def price(self, layer: Layer) -> float:
        """Milliseconds of one batch."""
        total = 0.0
        for work, moved, weights in primitives(layer):
            arithmetic = 2 * work * self.batch / (self.gflops * 1e6)
            memory = 4 * (moved * self.batch + weights) / (self.bandwidth_gbs * 1e6)
            total += max(arithmetic, memory) + self.overhead_us / 1e3
        return total


def primitives(layer: Layer) -> list[tuple[int, int, int]]:
    """The primitive operators of a layer: (multiply-accumulates, activations read and written, weights)."""
    area, out = layer.size**2, layer.size_out**2
    if layer.op != "mbconv":
        weights = layer.kernel**2 * layer.cin * layer.cout if layer.op in ("conv", "linear") else 0
        return [(macs(layer), layer.cin * area + layer.cout * out, weights)]
    steps = []
    if layer.mid != layer.cin:
        steps.append((layer.cin * layer.mid * area, (layer.cin + layer.mid) * area, layer.cin * layer.mid))
    steps.append((layer.mid * layer.kernel**2 * out, layer.mid * (area + out), layer.mid * layer.kernel**2))
    if layer.se:
        steps.append((0, layer.mid * out, 0))
        steps.append((2 * layer.mid * layer.se, 2 * (layer.mid + layer.se), 2 * layer.mid * layer.se))
        steps.append((0, 2 * layer.mid * out, 0))
    steps.append((layer.mid * layer.cout * out, (layer.mid + layer.cout) * out, layer.mid * layer.cout))
    if layer.residual:
        steps.append((0, 3 * layer.cout * out, 0))
    return steps
