"""The counts as devices: multiply-accumulates and parameters, both exact.

`macs_m` counts convolutions (squeeze-and-excitation included, without biases) and linear layers; `params_m` is what
`torch.nn.Module.parameters()` of the built network holds (batch norm's scale and shift included).
"""

from functools import partial

from explorer.core.layer import Layer
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.kinds import DEVICES
from explorer.devices.quantities import COUNT


class CountDevice(LayerDevice):
    """A count as a device, so that budgets can bound it.

    Args:
        name: "macs_m" or "params_m"; both in millions.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "M", Provenance(kind="counted", source="layer shapes"), quantity=COUNT)

    def price(self, layer: Layer) -> float:
        """Return the count of one layer, in millions."""
        return (layer.macs() if self.name == "macs_m" else layer.params()) / 1e6


COUNTS = ("macs_m", "params_m")
for _name in COUNTS:
    DEVICES.register(_name, partial(CountDevice, _name))
