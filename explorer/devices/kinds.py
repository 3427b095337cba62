"""Registries of device kinds (with a file format) and of calculated devices (without files).

A kind consists of a settings model of its JSON, a function that reads it and one that writes it. A calculated device (a
count, a memory) is a function without arguments, registered under a name. Other packages can extend both registries.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from explorer.core.config import Settings
from explorer.core.errors import InputError
from explorer.core.registry import Registry
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.quantities import LATENCY, MILLISECONDS

NAME = "[A-Za-z][A-Za-z0-9_.-]{0,39}"
TAKEN = ("accuracy", "lo", "hi", "key", "source")  # other columns of tables with one column per device


class DeviceFile(Settings):
    """Fields of every device's JSON file; each kind adds its own.

    Attributes:
        format: version of the file format.
        kind: a name in `KINDS`.
        name: name of the device in budgets and columns.
        unit: unit of the costs; a latency is in ms.
        quantity: what the costs measure; "latency" by default.
        precision: precision of the networks that are priced; "fp32" by default.
        provenance: where the numbers come from.
    """

    format: Literal[1]
    kind: str
    name: str = Field(pattern=f"^{NAME}$")
    unit: str = Field(pattern=r"^[A-Za-zµ%/²]{1,20}$")
    quantity: str = Field(LATENCY, pattern="^[a-z]{2,20}$")
    precision: Literal["fp32", "int8"] = "fp32"
    provenance: Provenance

    @model_validator(mode="after")
    def _fits(self) -> DeviceFile:
        checked_device_name(self.name)
        if self.quantity == LATENCY and self.unit != MILLISECONDS:
            raise ValueError(f"unit {self.unit!r}: a latency is in {MILLISECONDS}")
        return self


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device with a file format.

    Attributes:
        file: the settings model of its JSON.
        device: the class of its devices.
        read: function from a parsed file to a device.
        write: function from a device to its JSON fields, without those of `DeviceFile`.
    """

    file: type[DeviceFile]
    device: type[LayerDevice]
    read: Callable[[Any], LayerDevice]
    write: Callable[[Any], dict[str, Any]]


KINDS: Registry[DeviceKind] = Registry("device kind", "explorer.device_kinds", home="explorer.devices")
DEVICES: Registry[Callable[[], LayerDevice]] = Registry("device", "explorer.devices", home="explorer.devices")


def checked_device_name(name: str) -> str:
    """Return a device name after checking it.

    Raises:
        InputError: the name has other characters, or is the name of a table column.
    """
    if not re.fullmatch(NAME, name):
        raise InputError(f"device name {name!r}: expected a letter, then up to 39 letters, digits, '.', '_' or '-'")
    if name in TAKEN:
        raise InputError(f"device name {name!r} is a reserved column name ({', '.join(TAKEN)}); choose another")
    return name
