"""Devices: target hardware and counts, everything that prices an architecture."""

from explorer.devices.adopted import AdoptedDevice, adopted
from explorer.devices.base import LayerDevice, NoPrice, Provenance
from explorer.devices.counts import COUNTS, CountDevice
from explorer.devices.file_size import FileSizeDevice
from explorer.devices.files import device_from, device_json, device_names, load_device, needs_file, renamed
from explorer.devices.fit import error_of, fit_layer_model, fit_space
from explorer.devices.formats import read_block_table, read_blocks, read_measurements
from explorer.devices.kinds import DEVICES, KINDS, DeviceFile, DeviceKind, checked_device_name
from explorer.devices.layer_model import LayerModel
from explorer.devices.memory import MemoryDevice
from explorer.devices.quantities import amount, arranged, is_target, not_reachable, quantity_of, targets_of
from explorer.devices.table import BlockTable

__all__ = [
    "COUNTS",
    "DEVICES",
    "KINDS",
    "AdoptedDevice",
    "BlockTable",
    "CountDevice",
    "DeviceFile",
    "DeviceKind",
    "FileSizeDevice",
    "LayerDevice",
    "LayerModel",
    "MemoryDevice",
    "NoPrice",
    "Provenance",
    "adopted",
    "amount",
    "arranged",
    "checked_device_name",
    "device_from",
    "device_json",
    "device_names",
    "error_of",
    "fit_layer_model",
    "fit_space",
    "is_target",
    "load_device",
    "needs_file",
    "not_reachable",
    "quantity_of",
    "read_block_table",
    "read_blocks",
    "read_measurements",
    "renamed",
    "targets_of",
]  # fmt: skip
