"""Target hardware and counts: everything that prices an architecture."""

from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.counts import CountDevice
from explorer.devices.files import COUNTS, device_from, device_json, device_names, load_device
from explorer.devices.roofline import Roofline
from explorer.devices.table import BlockTable

__all__ = [
    "COUNTS", "BlockTable", "CountDevice", "LayerDevice", "Provenance", "Roofline", "device_from", "device_json",
    "device_names", "load_device",
]  # fmt: skip
