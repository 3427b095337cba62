"""The two counts: multiply-accumulates and parameters, exact.

`macs_m` counts convolutions (squeeze-and-excitation included, without biases) and linear layers; `params_m` is what
`torch.nn.Module.parameters()` of the built network holds (batch norm's scale and shift included).
"""

from explorer.core.errors import unknown
from explorer.core.layer import OPERATORS, Layer
from explorer.devices.base import LayerDevice, Provenance

FREE = ("avgpool", "maxpool", "add", "concat", "scatter", "zero", "pool")  # neither multiply-accumulates nor parameters


def macs(layer: Layer) -> int:
    """Multiply-accumulates of one image through a layer."""
    area_in, area_out = layer.size**2, layer.size_out**2
    if layer.op == "conv":
        return layer.kernel**2 * layer.cin // layer.groups * layer.cout * area_out
    if layer.op == "factorized":
        return layer.cin * layer.cout * area_out
    if layer.op == "mbconv":
        expand = layer.cin * layer.mid * area_in if layer.mid != layer.cin else 0
        depthwise = sum(channels * k**2 for k, channels in layer.depthwise) * area_out
        return expand + depthwise + 2 * layer.mid * layer.se + layer.mid * layer.cout * area_out
    if layer.op == "linear":
        return layer.cin * layer.cout
    if layer.op in (*FREE, "norm"):
        return 0
    raise unknown("operator", layer.op, OPERATORS)


def params(layer: Layer) -> int:
    """Trainable numbers of a layer."""
    if layer.op == "conv":
        return layer.kernel**2 * layer.cin // layer.groups * layer.cout + 2 * layer.cout * layer.bn
    if layer.op == "factorized":
        return layer.cin * layer.cout + 2 * layer.cout
    if layer.op == "norm":
        return 2 * layer.cout
    if layer.op == "mbconv":
        expand = layer.cin * layer.mid + 2 * layer.mid if layer.mid != layer.cin else 0
        depthwise = sum(channels * k**2 for k, channels in layer.depthwise) + 2 * layer.mid
        squeeze = 2 * layer.mid * layer.se + layer.se + layer.mid if layer.se else 0
        return expand + depthwise + squeeze + layer.mid * layer.cout + 2 * layer.cout
    if layer.op == "linear":
        return layer.cin * layer.cout + layer.cout
    if layer.op in FREE:
        return 0
    raise unknown("operator", layer.op, OPERATORS)


class CountDevice(LayerDevice):
    """A count as a device, so that budgets can bound it.

    Args:
        name: "macs_m" or "params_m"; both in millions.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name, "M", Provenance(kind="counted", source="layer shapes"))
        self._count = {"macs_m": macs, "params_m": params}[name]

    def price(self, layer: Layer) -> float:
        """Millions."""
        return self._count(layer) / 1e6
