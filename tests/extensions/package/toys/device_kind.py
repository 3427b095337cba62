"""A kind of device: latency by a roofline, of compute and of memory traffic, with a file format of its own."""

from typing import Literal

from explorer.devices import DeviceFile, DeviceKind, LayerDevice


class RooflineFile(DeviceFile):
    kind: Literal["roofline"]
    gmacs: float
    gb: float


class Roofline(LayerDevice):
    def __init__(self, name, provenance, gmacs, gb):
        super().__init__(name, "ms", provenance)
        self.gmacs, self.gb = gmacs, gb

    def price(self, layer):
        values = layer.cin * layer.size**2 + layer.cout * layer.size_out**2 + layer.params()
        return max(layer.macs() / self.gmacs, 4 * values / self.gb) / 1e6


KIND = DeviceKind(
    RooflineFile, Roofline, lambda file: Roofline(file.name, file.provenance, file.gmacs, file.gb),
    lambda device: {"gmacs": device.gmacs, "gb": device.gb},
)  # fmt: skip
