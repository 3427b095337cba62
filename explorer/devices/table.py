"""A block table: the latency of every layer, measured one by one; a network is their sum (Cai et al. 2019)."""

from collections.abc import Mapping

import numpy as np

from explorer.devices.base import LayerDevice, Provenance
from explorer.errors import InputError
from explorer.layer import Layer


class BlockTable(LayerDevice):
    """Latency from a table of layers.

    A classifier of a width that was not measured is interpolated linearly between the measured widths of the same
    input; everything else that the table lacks is refused.

    Args:
        name: the device's name.
        provenance: of the timings.
        blocks: `Layer.signature` -> milliseconds.
        scale, offset: fitted on whole networks, for what blocks timed alone miss.
    """

    def __init__(
        self, name: str, provenance: Provenance, blocks: Mapping[str, float], scale: float = 1.0, offset: float = 0.0
    ) -> None:
        super().__init__(name, "ms", provenance, scale, offset)
        for signature, value in blocks.items():
            if not np.isfinite(value) or value < 0:
                raise InputError(f"device {name!r}: block {signature!r} has latency {value!r}; expected ms >= 0")
        self.blocks = dict(blocks)

    def price(self, layer: Layer) -> float:
        """Milliseconds.

        Raises:
            InputError: the table lacks this layer.
        """
        if layer.signature in self.blocks:
            return self.blocks[layer.signature]
        if layer.op == "linear":
            widths = sorted(
                (int(s.split()[1].split("-")[1]), ms)
                for s, ms in self.blocks.items()
                if s.startswith(f"linear {layer.cin}-")
            )
            if widths and widths[0][0] <= layer.cout <= widths[-1][0]:
                return float(np.interp(layer.cout, [n for n, _ in widths], [ms for _, ms in widths]))
        raise InputError(
            f"device {self.name!r} has no measurement of layer {layer.name!r} ({layer.signature}); "
            f"its table of {len(self.blocks)} blocks was measured for other spaces"
        )
