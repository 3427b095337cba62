"""Device files: JSON in and out, with provenance; a name under `data/devices` or a path."""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from explorer.core.config import Settings, parse
from explorer.core.errors import InputError, unknown
from explorer.core.files import data_folder, expanded, is_file, is_folder, read_json
from explorer.devices.base import LONGEST, LayerDevice, Provenance
from explorer.devices.counts import CountDevice
from explorer.devices.formats import read_block_table
from explorer.devices.layer_model import LayerModel
from explorer.devices.table import BlockTable

COUNTS = ("macs_m", "params_m")
NAME = "[A-Za-z][A-Za-z0-9_.-]{0,39}"
TAKEN = ("accuracy", "lo", "hi", "key", "source")  # other columns of the tables in which a device has one


class DeviceFile(Settings):
    """The JSON of a device; which fields count depends on `kind`."""

    format: Literal[1]
    kind: Literal["table", "layers"]
    name: str = Field(pattern=f"^{NAME}$")
    unit: Literal["ms"]
    provenance: Provenance
    blocks: dict[str, float] = Field(default_factory=dict)
    scale: float = Field(1.0, gt=0, le=1e9)
    offset: float = Field(0.0, ge=0, le=LONGEST)
    interpolates: bool = False
    uncounted: list[str] = Field(default_factory=list)
    weights: dict[str, float] = Field(default_factory=dict)
    domain: dict[str, tuple[float, float]] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _free(cls, name: str) -> str:
        return free_name(name)


def free_name(name: str) -> str:
    """A name that a device may have.

    Raises:
        InputError: other characters, or the name of a table's column.
    """
    if not re.fullmatch(NAME, name):
        raise InputError(f"device name {name!r}: expected a letter, then up to 39 letters, digits, '.', '_' or '-'")
    if name in TAKEN:
        raise InputError(f"device name {name!r} is a table's column ({', '.join(TAKEN)}); choose another")
    return name


def load_device(source: str | Path) -> LayerDevice:
    """A device by name ("mobile", "cpu", "gpu", "macs_m", "params_m") or from a file.

    Args:
        source: a name, a device's JSON, a latency table of once-for-all (YAML, or a folder of them), or a CSV block
            table; "NAME=SOURCE" gives a device another name, as in "cpu=i7-8700k".

    Raises:
        InputError: unknown name, unreadable or malformed file.
    """
    name = str(source)
    alias, sign, rest = name.partition("=")
    if sign and re.fullmatch(NAME, alias):
        return renamed(load_device(rest), alias)
    if name in COUNTS:
        return CountDevice(name)
    if name in device_names():
        return _of_file(data_folder("devices") / f"{name}.json")
    path = expanded(source)
    if path.suffix.lower() in (".yaml", ".yml", ".csv") or is_folder(path):
        return read_block_table(path, re.sub(r"[^A-Za-z0-9_.-]+", "-", f"table-{path.stem}")[:40])
    if not (path.suffix == ".json" and is_file(path)):
        raise unknown("device", name, [*device_names(), "a JSON file"])
    return _of_file(path)


def _of_file(path: Path) -> LayerDevice:
    return device_from(read_json(path), str(path))


def device_from(values: Any, source: str) -> LayerDevice:
    """A device from the parsed JSON of its file."""
    if not isinstance(values, dict):
        raise InputError(f"{source}: a device file holds one JSON object, not {type(values).__name__}")
    file = parse(DeviceFile, values, source)
    if file.kind == "table":
        return BlockTable(
            file.name, file.provenance, file.blocks, file.scale, file.offset, file.interpolates, file.uncounted
        )
    return LayerModel(file.name, file.provenance, file.weights, file.domain)


def device_json(device: LayerDevice) -> dict[str, Any]:
    """The JSON that `load_device` reads back."""
    common = {"format": 1, "name": device.name, "unit": device.unit, "provenance": device.provenance.model_dump()}
    if isinstance(device, BlockTable):
        return common | {
            "kind": "table", "scale": device.scale, "offset": device.offset, "interpolates": device.interpolates,
            "uncounted": list(device.uncounted), "blocks": device.blocks,
        }  # fmt: skip
    if isinstance(device, LayerModel):
        return common | {"kind": "layers", "domain": device.domain, "weights": device.weights}
    raise InputError(f"device {device.name!r} ({type(device).__name__}) has no file format")


def renamed(device: LayerDevice, name: str) -> LayerDevice:
    """The same device under another name."""
    return device_from(device_json(device) | {"name": name}, device.name)


def device_names() -> list[str]:
    """Every name that `load_device` knows."""
    return [*sorted(p.stem for p in data_folder("devices").glob("*.json")), *COUNTS]
