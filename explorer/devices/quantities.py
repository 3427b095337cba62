"""What a device counts: latency, memory, size, energy, or operations; and how its numbers are said.

Only this room looks at units. A device says `quantity` and `unit`; one that says no quantity has a latency. *Targets*
are what a user bounds by a slider: everything but counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

LATENCY, COUNT = "latency", "count"
MILLISECONDS = "ms"


class Priced(Protocol):
    """As much of a device as its numbers need."""

    @property
    def name(self) -> str:
        """What budgets and columns call it."""

    @property
    def unit(self) -> str:
        """Of its costs."""


D = TypeVar("D", bound=Priced)


def quantity_of(device: Priced) -> str:
    """What a device counts: its `quantity`, else "latency"."""
    return str(getattr(device, "quantity", LATENCY))


def is_target(device: Priced) -> bool:
    """Whether its budget is a slider: a count of operations or parameters is shown, and bounded on demand."""
    return quantity_of(device) != COUNT


def targets_of(devices: Iterable[D]) -> list[D]:
    """Those that are targets: latencies first, then other quantities, each in the order given."""
    return sorted(filter(is_target, devices), key=lambda device: quantity_of(device) != LATENCY)


def arranged(devices: Mapping[str, D]) -> dict[str, D]:
    """The same devices with targets first."""
    return {device.name: device for device in targets_of(devices.values())} | dict(devices)


def is_timed(device: Priced) -> bool:
    """Whether it can be compared with a clock: a latency in milliseconds."""
    return quantity_of(device) == LATENCY and device.unit == MILLISECONDS


def amount(device: Priced, value: float, digits: int = 4) -> str:
    """A cost with its unit.

    >>> class Board:
    ...     name, unit, quantity = "ram_kb", "kB", "memory"
    >>> amount(Board(), 212.0)
    '212 kB'
    """
    return f"{value:.{digits}g} {device.unit}"


def column_of(device: Priced) -> str:
    """The name of a table's column of its costs, which ends with the unit: "mobile_ms", "params_m"."""
    ending = f"_{device.unit.lower()}"
    return device.name if device.name.lower().endswith(ending) else device.name + ending


def words_of(devices: Iterable[Priced]) -> str:
    """Their quantities in words, such as "latency and memory"; a count that is a target bounds a size."""
    words = ["size" if quantity_of(device) == COUNT else quantity_of(device) for device in devices]
    return " and ".join(dict.fromkeys(words))
