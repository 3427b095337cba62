"""Kinds of devices with a file format, and devices that are calculated and need no file.

A kind is a settings model of its JSON, a function that reads it and one that writes it. A calculated device (a count,
a memory) is a function of no arguments under a name. Both tables are open to other packages.
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
TAKEN = ("accuracy", "lo", "hi", "key", "source")  # other columns of the tables in which a device has one


class DeviceFile(Settings):
    """What the JSON of every device holds; a kind adds fields of its own.

    Attributes:
        format: of the file.
        kind: a name in `KINDS`.
        name: what budgets and columns call the device.
        unit: of its costs; a latency is in ms.
        quantity: what it counts; "latency" unless the file says another.
        provenance: where its numbers come from.
    """

    format: Literal[1]
    kind: str
    name: str = Field(pattern=f"^{NAME}$")
    unit: str = Field(pattern=r"^[A-Za-z%/²]{1,20}$")
    quantity: str = Field(LATENCY, pattern="^[a-z]{2,20}$")
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
        file: the model of its JSON.
        device: its class.
        read: file -> device.
        write: device -> the JSON's own fields, without those of `DeviceFile`.
    """

    file: type[DeviceFile]
    device: type[LayerDevice]
    read: Callable[[Any], LayerDevice]
    write: Callable[[Any], dict[str, Any]]


KINDS: Registry[DeviceKind] = Registry("device kind", "explorer.device_kinds", home="explorer.devices")
DEVICES: Registry[Callable[[], LayerDevice]] = Registry("device", "explorer.devices", home="explorer.devices")


def checked_device_name(name: str) -> str:
    """A name that a device may have.

    Raises:
        InputError: other characters, or the name of a table's column.
    """
    if not re.fullmatch(NAME, name):
        raise InputError(f"device name {name!r}: expected a letter, then up to 39 letters, digits, '.', '_' or '-'")
    if name in TAKEN:
        raise InputError(f"device name {name!r} is a table's column ({', '.join(TAKEN)}); choose another")
    return name
