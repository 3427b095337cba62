"""Wrap a user's own device, to give it the members that a study and the web page need beyond the protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.architecture import key_of
from explorer.core.layer import Layer
from explorer.core.protocols import Device, SearchSpace
from explorer.devices.base import LayerDevice, NoPrice, Provenance
from explorer.devices.quantities import precision_of, quantity_of


class AdoptedDevice(LayerDevice):
    """Wraps a device that is not a `LayerDevice`: prices come from the device, all other members are defaults.

    Args:
        device: has `name`, `unit` and `cost`; its `quantity`, `precision` and `provenance` are used where it has them.
    """

    def __init__(self, device: Device) -> None:
        about = getattr(device, "provenance", None)
        if not isinstance(about, Provenance):
            about = Provenance(kind="modelled", source=f"{type(device).__name__}, a user-defined device")
        quantity, precision = quantity_of(device), precision_of(device)
        super().__init__(device.name, device.unit, about, quantity=quantity, precision=precision)
        self.device = device

    @property
    def additive(self) -> bool:
        """False, because it is not known whether the device's costs are sums over layers."""
        return False

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """Price architectures: (n, d) int8 -> (n,) in `unit`.

        Raises:
            NoPrice: the device gives no number for a network.
        """
        costs = np.asarray(self.device.cost(space, codes), float)
        if np.isnan(costs).any():
            first = key_of(space, codes[int(np.isnan(costs).argmax())])
            raise NoPrice(f"network {first} has no cost on device {self.name!r}", costs)
        return costs

    def shares(self, layers: Sequence[Layer]) -> np.ndarray:
        """Return zeros, (n_layers,), because the device does not price single layers."""
        return np.zeros(len(layers))


def adopted(device: Device) -> LayerDevice:
    """Return the device as a `LayerDevice`, wrapped if it is not one."""
    return device if isinstance(device, LayerDevice) else AdoptedDevice(device)
