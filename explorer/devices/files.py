"""Device files: JSON in and out, with provenance; a name under `data/devices` or a path."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from explorer.config import Settings, parse
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.counts import CountDevice
from explorer.devices.roofline import Roofline
from explorer.devices.table import BlockTable
from explorer.errors import InputError, unknown
from explorer.files import data_folder, read_json

COUNTS = ("macs_m", "params_m")


class DeviceFile(Settings):
    """The JSON of a device; which fields count depends on `kind`."""

    format: Literal[1]
    kind: Literal["table", "roofline"]
    name: str = Field(min_length=1, max_length=40, pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")
    unit: Literal["ms"]
    provenance: Provenance
    blocks: dict[str, float] = Field(default_factory=dict)
    scale: float = Field(1.0, gt=0)
    offset: float = Field(0.0, ge=0)
    gflops: float = Field(0, ge=0)
    bandwidth_gbs: float = Field(0, ge=0)
    overhead_us: float = Field(0, ge=0)


def load_device(source: str | Path) -> LayerDevice:
    """A device by name ("mobile", "cpu", "gpu", "macs_m", "params_m") or from a JSON file.

    Raises:
        InputError: unknown name, unreadable or malformed file.
    """
    name = str(source)
    if name in COUNTS:
        return CountDevice(name)
    path = Path(source)
    if not (path.suffix == ".json" and path.is_file()):
        path = data_folder("devices") / f"{name}.json"
        if "/" in name or "\\" in name or not path.is_file():
            raise unknown("device", name, [*device_names(), "a JSON file"])
    return device_from(read_json(path), str(path))


def device_from(values: Any, source: str) -> LayerDevice:
    """A device from the parsed JSON of its file."""
    if not isinstance(values, dict):
        raise InputError(f"{source}: a device file holds one JSON object, not {type(values).__name__}")
    file = parse(DeviceFile, values, source)
    if file.kind == "table":
        if not file.blocks:
            raise InputError(f"{source}: blocks = {{}}: a block table needs at least one block")
        return BlockTable(file.name, file.provenance, file.blocks, file.scale, file.offset)
    if not (file.gflops and file.bandwidth_gbs):
        raise InputError(f"{source}: a roofline needs gflops and bandwidth_gbs above 0")
    batch = file.provenance.batch or 1
    return Roofline(file.name, file.provenance, file.gflops, file.bandwidth_gbs, file.overhead_us, batch)


def device_json(device: LayerDevice) -> dict[str, Any]:
    """The JSON that `load_device` reads back."""
    common = {"format": 1, "name": device.name, "unit": device.unit, "provenance": device.provenance.model_dump()}
    if isinstance(device, BlockTable):
        return common | {"kind": "table", "scale": device.scale, "offset": device.offset, "blocks": device.blocks}
    if isinstance(device, Roofline):
        return common | {
            "kind": "roofline", "gflops": device.gflops, "bandwidth_gbs": device.bandwidth_gbs,
            "overhead_us": device.overhead_us,
        }  # fmt: skip
    raise InputError(f"device {device.name!r} ({type(device).__name__}) has no file format")


def device_names() -> list[str]:
    """Every name that `load_device` knows."""
    return [*sorted(p.stem for p in data_folder("devices").glob("*.json")), *COUNTS]
