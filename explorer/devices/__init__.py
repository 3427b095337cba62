"""Target hardware and counts: everything that prices an architecture."""

from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.counts import CountDevice
from explorer.devices.files import COUNTS, device_from, device_json, device_names, free_name, load_device, renamed
from explorer.devices.fit import error_of, fit_layer_model, fit_space
from explorer.devices.formats import read_block_table, read_blocks, read_measurements
from explorer.devices.layer_model import LayerModel
from explorer.devices.table import BlockTable

__all__ = [
    "COUNTS", "BlockTable", "CountDevice", "LayerDevice", "LayerModel", "Provenance", "device_from",
    "device_json", "device_names", "error_of", "fit_layer_model", "fit_space", "free_name", "load_device",
    "read_block_table", "read_blocks", "read_measurements", "renamed",
]  # fmt: skip
