"""What a device measures (latency, memory, size, energy or operations), and how its numbers are written.

Only this module interprets units. A device has a `unit` and a `quantity`, which is latency by default. *Targets* are
the quantities that a user limits with a slider: all except counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from explorer.core.errors import InputError, unknown

LATENCY, COUNT = "latency", "count"
FP32, INT8 = "fp32", "int8"  # precisions: of what a device prices, and of the network that runs
PRECISIONS = (FP32, INT8)
MILLISECONDS = "ms"
NO_TIMES = {"b", "kb", "kib", "mb", "mib", "gb", "gib", "j", "mj", "uj", "µj"}  # units that a latency cannot have


class Priced(Protocol):
    """The members of a device that are needed to write its numbers."""

    @property
    def name(self) -> str:
        """Name used in budgets and columns."""

    @property
    def unit(self) -> str:
        """Unit of the costs."""


D = TypeVar("D", bound=Priced)


def quantity_of(device: Priced) -> str:
    """Return what a device measures: its `quantity`, else "latency"."""
    return str(getattr(device, "quantity", LATENCY))


def precision_of(device: Priced) -> str:
    """Return the precision of the networks that a device prices: its `precision`, else "fp32"."""
    return str(getattr(device, "precision", FP32))


def checked_precision(precision: str) -> str:
    """Return a precision.

    Raises:
        InputError: it is not one of `PRECISIONS`.
    """
    if precision not in PRECISIONS:
        raise unknown("precision", precision, PRECISIONS)
    return precision


def checked_quantity(name: str, unit: str, quantity: str) -> str:
    """Return the quantity of a device, if its unit can be one of that quantity.

    Raises:
        InputError: a latency in kilobytes or joules, which is what a device is whose quantity was left out.
    """
    if quantity == LATENCY and unit.lower() in NO_TIMES:
        raise InputError(
            f"device {name!r}: unit {unit!r} is not a unit of latency; give it a quantity (memory, size, energy, ...)"
        )
    return quantity


def is_target(device: Priced) -> bool:
    """Whether the device has a budget slider; counts are displayed, and have a budget only on request."""
    return quantity_of(device) != COUNT


def targets_of(devices: Iterable[D]) -> list[D]:
    """Return the devices that are targets: latencies first, then other quantities, each in the given order."""
    return sorted(filter(is_target, devices), key=lambda device: quantity_of(device) != LATENCY)


def arranged(devices: Mapping[str, D]) -> dict[str, D]:
    """Return the same devices with targets first."""
    return {device.name: device for device in targets_of(devices.values())} | dict(devices)


def is_timed(device: Priced) -> bool:
    """Whether the costs can be compared with a clock: latencies in milliseconds."""
    return quantity_of(device) == LATENCY and device.unit == MILLISECONDS


def amount(device: Priced, value: float, digits: int = 4) -> str:
    """Format a cost with its unit.

    >>> class Board:
    ...     name, unit, quantity = "ram_kb", "kB", "memory"
    >>> amount(Board(), 212.0)
    '212 kB'
    """
    return f"{value:.{digits}g} {device.unit}"


def not_reachable(devices: Mapping[str, Priced], budget: Mapping[str, float], costs: Mapping[str, float]) -> str:
    """Format a message that a budget cannot be met, with the costs of the nearest reachable network."""
    asked = ", ".join(f"{name} {amount(devices[name], value, 6)}" for name, value in budget.items())
    found = ", ".join(f"{name} {amount(devices[name], costs[name])}" for name in budget)
    return f"budget {asked} is not reachable; the nearest reachable network has {found}"


def column_of(device: Priced) -> str:
    """Return the name of the device's cost column in tables, which ends with the unit: "mobile_ms", "params_m"."""
    ending = f"_{device.unit.lower()}"
    return device.name if device.name.lower().endswith(ending) else device.name + ending


def words_of(devices: Iterable[Priced]) -> str:
    """Return the quantities of devices in words, such as "latency, memory and size"; a count is called a size."""
    words = list(dict.fromkeys("size" if quantity_of(d) == COUNT else quantity_of(d) for d in devices))
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
