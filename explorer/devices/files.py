"""Device files: read and write JSON with provenance; find a device by shipped name, registered name or path."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from explorer.core.config import parse
from explorer.core.errors import InputError, unknown
from explorer.core.files import data_folder, expanded, is_file, is_folder, read_json
from explorer.devices.base import LayerDevice
from explorer.devices.foreign import READ, foreign_json, foreign_suffix
from explorer.devices.formats import read_block_table
from explorer.devices.kinds import DEVICES, KINDS, NAME
from explorer.devices.quantities import FP32, LATENCY

# fields of kinds "table" and "layers"; a file of format 1 may have all of them, those of the other kind are ignored
SHARED = {"blocks", "scale", "offset", "interpolates", "uncounted", "weights", "domain"}


def load_device(source: str | Path) -> LayerDevice:
    """Load a device by name ("mobile", "cpu", "gpu", "macs_m", "params_m") or from a file.

    Args:
        source: a name, a device's JSON file, a latency table of once-for-all (YAML, or a folder of them), or a CSV
            block table; "NAME=SOURCE" gives the device another name, as in "cpu=i7-8700k".

    Raises:
        InputError: the name is unknown, or the file is unreadable or malformed.
    """
    name = str(source)
    alias, sign, rest = name.partition("=")
    if sign and re.fullmatch(NAME, alias):
        return renamed(load_device(rest), alias)
    if name in shipped_devices():
        return _of_file(data_folder("devices") / f"{name}.json")
    if name in DEVICES:
        return DEVICES[name]()
    path = expanded(source)
    if path.suffix.lower() in (".yaml", ".yml", ".csv", ".tsv") or is_folder(path):
        return read_block_table(path, re.sub(r"[^A-Za-z0-9_.-]+", "-", f"table-{path.stem}")[:40])
    if path.suffix == ".json" and is_file(path):
        return _of_file(path)
    if is_file(path) and (what := foreign_suffix(path)):
        raise InputError(f"{str(path)!r} is {what}; {READ}")
    raise unknown("device", name, [*device_names(), "a JSON file"])


def _of_file(path: Path) -> LayerDevice:
    return device_from(read_json(path), str(path))


def device_from(values: object, source: str) -> LayerDevice:
    """Create a device from the parsed JSON of its file.

    Raises:
        InputError: the JSON does not describe a device of a known kind.
    """
    if what := foreign_json(values):
        raise InputError(f"{source} is {what}; {READ}")
    if not isinstance(values, dict):
        raise InputError(f"{source}: a device file holds one JSON object, not {type(values).__name__}")
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"{source}: kind = {str(kind)[:80]!r}: choose from: {', '.join(KINDS)}")
    model = KINDS[kind].file
    kept = {name: value for name, value in values.items() if name in model.model_fields or name not in SHARED}
    return KINDS[kind].read(parse(model, kept, source))


def needs_file(device: LayerDevice) -> bool:
    """Whether a study needs a file for the device; one that is calculated is found by its name in `DEVICES`."""
    return device.name not in DEVICES or any(type(device) is kind.device for kind in KINDS.values())


def device_json(device: LayerDevice) -> dict[str, Any]:
    """Return the JSON of a device, which `load_device` reads.

    Raises:
        InputError: devices of this kind have no file format.
    """
    common = {"format": 1, "name": device.name, "unit": device.unit, "provenance": device.provenance.model_dump()}
    if device.quantity != LATENCY:
        common["quantity"] = device.quantity
    if device.precision != FP32:
        common["precision"] = device.precision
    for name, kind in KINDS.items():
        if type(device) is kind.device:
            return common | {"kind": name} | kind.write(device)
    raise InputError(f"device {device.name!r} ({type(device).__name__}) has no file format")


def renamed(device: LayerDevice, name: str) -> LayerDevice:
    """Return the same device under another name."""
    return device_from(device_json(device) | {"name": name}, device.name)


def shipped_devices() -> list[str]:
    """Return the names of the device files in the package."""
    return sorted(path.stem for path in data_folder("devices").glob("*.json"))


def device_names() -> list[str]:
    """Return every name that `load_device` knows."""
    return [*shipped_devices(), *DEVICES]
