"""Anybody's device, with the members that a study and the page read beyond the protocol."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.layer import Layer
from explorer.core.protocols import Device, SearchSpace
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.quantities import quantity_of


class AdoptedDevice(LayerDevice):
    """Stands for a device that is no `LayerDevice`: its own costs, and usual answers to everything else.

    Args:
        device: has `name`, `unit` and `cost`; `quantity` and `provenance` are taken over where it has them.
    """

    def __init__(self, device: Device) -> None:
        about = getattr(device, "provenance", None)
        if not isinstance(about, Provenance):
            about = Provenance(kind="modelled", source=f"{type(device).__name__}, a device of the user's own")
        super().__init__(device.name, device.unit, about, quantity=quantity_of(device))
        self.device = device

    @property
    def additive(self) -> bool:
        """Not known of it."""
        return False

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n,) in `unit`."""
        return np.asarray(self.device.cost(space, codes), float)

    def shares(self, layers: Sequence[Layer]) -> np.ndarray:
        """(n_layers,): zeros, as such a device does not price single layers."""
        return np.zeros(len(layers))


def adopted(device: Device) -> LayerDevice:
    """A device as a study holds it."""
    return device if isinstance(device, LayerDevice) else AdoptedDevice(device)
