"""The state of the page: study, budgets, current network, pinned networks. Views observe it; it knows none of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from explorer.core.errors import InputError
from explorer.core.front import Candidate
from explorer.devices.boards import BOARDS
from explorer.plots.axes import ACCURACY, AxesInfo, axes_info, kinds_of
from explorer.study import Study
from explorer.widgets.history import History
from explorer.widgets.links import LONGEST, query_of, restore

PINS = 4
FOUND = 40  # networks shown at most for ranges on the axes
MEMORY = ("ram_kb", "flash_kb")  # what a board bounds
REMEMBERED = (  # what can be undone, and what a link has
    "budgets", "active", "board", "least", "on", "chart", "every", "log", "shown", "generator", "generated", "picked",
    "pins", "texts", "ranges",
)  # fmt: skip


class DashboardState:
    """The state that all views of the page share.

    The budget of an active device limits the network; for an inactive device the page only shows the network's cost.
    Every change of a budget generates a network (in milliseconds) and then notifies all observers. A network picked
    from the chart replaces the generated one until a budget changes.

    Args:
        study: an open study.

    Attributes:
        budgets: device -> limit, for all devices with a slider.
        targets: devices with a slider: those that price the precision of the study.
        active: devices whose budget is switched on.
        board: name of the board whose memory is bounded, or "".
        least: the accuracy in [0, 1] that is asked for instead of a budget on the device `on`, or None.
        on: the device whose cost is then the lowest.
        chart: the device of the chart; `every` shows all targets beside it.
        log: the cost axis is logarithmic.
        shown: what the chart shows beside: "searched", "generated front", "band" (the error band of the searched one).
        generator: the name of the generator.
        generated: the network generated for the budget.
        picked: a network chosen by hand, or None.
        pins: pinned networks to compare, at most `most`.
        texts: key of a pinned network -> its name and a note, where they were given.
        hinted: key of a network that the chart marks while the user points at it elsewhere, or "".
        ranges: name of one of the `axes` -> the range asked for there; an end may be infinite.
        measured: values measured on this page: key -> {"accuracy": number, "latency": text}.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.targets = study, study.main_targets
        self.chart: str = self.targets[0]
        self.every, self.log = False, False
        self.shown: set[str] = {"searched", "band"}
        self.generator: str = study.generators[0]
        self.budgets: dict[str, float] = {}
        self.active: set[str] = {self.chart}
        self.board = ""
        self.least: float | None = None
        self.on: str = self.chart
        self.picked: Candidate | None = None
        self.pins: list[Candidate] = []
        self.most = PINS
        self.texts: dict[str, tuple[str, str]] = {}
        self.hinted = ""
        self._found: tuple[Any, np.ndarray] = (None, np.zeros(0, int))
        self.axes = [*study.devices, ACCURACY, *kinds_of(study.space)]
        self.ranges: dict[str, tuple[float, float]] = {}
        self.measured: dict[str, dict[str, Any]] = {}
        self._observers: list[Callable[[], None]] = []
        self.budgets[self.chart] = study.knee(self.chart)
        self.generated: Candidate = self._generate()
        self._history = History(self._snapshot())

    @property
    def candidate(self) -> Candidate:
        """The current network: the picked one, else the generated one."""
        return self.picked or self.generated

    @property
    def hinted_candidate(self) -> Candidate | None:
        """The network that the user points at, or None."""
        return self.study.candidate(self.study.architecture(self.hinted)) if self.hinted else None

    @cached_property
    def axes_info(self) -> AxesInfo:
        """The networks that ranges on the axes choose from; made when it is first read, in about half a second."""
        return axes_info(self.study, self.study.generator().pool.codes)

    @property
    def found(self) -> np.ndarray:
        """Rows of `axes_info` within the ranges, the most accurate first."""
        asked = tuple(sorted(self.ranges.items()))
        if self._found[0] != asked:
            self._found = (asked, self.axes_info.within(self.ranges, FOUND))
        return self._found[1]

    @property
    def budget(self) -> dict[str, float]:
        """The active budgets: device -> limit."""
        return {name: self.budgets[name] for name in self.targets if name in self.active}

    def range(self, device: str) -> tuple[float, float]:
        """Lowest and highest value of a device's slider."""
        low, high = self.study.budget_range(device)
        return float(low), float(high)

    def observe(self, callback: Callable[[], None]) -> None:
        """Register a function to be called after every change."""
        self._observers.append(callback)

    # budgets --------------------------------------------------------------------------------------------------

    def move(self, device: str, value: float) -> None:
        """Set the budget of a device and switch it on."""
        if device in self.active and self.budgets[device] == value:
            return
        if device == self.on:
            self.least = None
        self.budgets[device] = value
        self.active.add(device)
        self._follow(device, value)
        self._leave_board()
        self._update(f"move {device}")

    def ask(self, least: float | None, on: str | None = None) -> None:
        """Ask for an accuracy in [0, 1] at the lowest cost on a device, which has no budget then, within all others.

        None asks for a budget on that device again, at the cost of the present network.

        Raises:
            InputError: the accuracy is not from 0 to 1.
        """
        before, on = (self.least, self.on, set(self.active)), on or self.on
        if (least, on) == before[:2]:
            return
        self.least, self.on, self.active = least, on, self.active - {on} if least is not None else self.active | {on}
        try:
            self._update()
        except InputError:
            self.least, self.on, self.active = before
            raise

    def bound(self, board: str) -> None:
        """Set the budgets of RAM and flash to what a board has, and switch them on; "" switches them off.

        Raises:
            InputError: there is no such board.
        """
        if board == self.board:
            return
        if board:
            limits = BOARDS[board].budget
            self.budgets |= limits
            self.active |= set(limits)
        else:
            self.active -= set(MEMORY)
        self.board = board
        self._update()

    def _leave_board(self) -> None:
        """Forget the board where its budgets are no longer those that are on."""
        if self.board and any(self.budget.get(name) != limit for name, limit in BOARDS[self.board].budget.items()):
            self.board = ""

    def switch(self, device: str, on: bool) -> None:
        """Switch the budget of a device on or off."""
        if on == (device in self.active):
            return
        if device == self.on:
            self.least = None
        self.active.symmetric_difference_update({device})
        self._follow(device, self.budgets[device] if on else math.inf)
        self._leave_board()
        self._update()

    def use(self, generator: str) -> None:
        """Choose the generator."""
        if generator != self.generator:
            self.generator = generator
            self._update()

    def knee(self) -> None:
        """Set the budget of the chart's device to the knee of its front."""
        device = self.chart if self.chart in self.targets else self.targets[0]
        self.move(device, self.study.knee(device))

    # what the chart shows --------------------------------------------------------------------------------------

    def show(self, device: str) -> None:
        """Choose the device of the chart."""
        self.chart = device
        self._tell()

    def look(self, *, every: bool | None = None, log: bool | None = None) -> None:
        """Choose how the chart is drawn."""
        self.every = self.every if every is None else every
        self.log = self.log if log is None else log
        self._tell()

    def toggle(self, front: str, on: bool) -> None:
        """Show or hide a front."""
        (self.shown.add if on else self.shown.discard)(front)
        self._tell()

    def pick(self, key: str) -> None:
        """Show the network with this key, regardless of the budgets."""
        self.picked = self.study.candidate(self.study.architecture(key))
        self._tell()

    def release(self) -> None:
        """Go back to the generated network."""
        self.picked = None
        self._tell()

    def pin(self) -> None:
        """Pin the current network for comparison.

        Raises:
            InputError: four networks are pinned already.
        """
        if self.candidate.key in [p.key for p in self.pins]:
            return
        if len(self.pins) == self.most:
            raise InputError(f"{self.most} networks are pinned already; unpin one first")
        self.pins.append(self.candidate)
        self._tell()

    def unpin(self, key: str) -> None:
        """Remove a network from the pinned ones."""
        self.pins = [p for p in self.pins if p.key != key]
        self.texts.pop(key, None)
        self._tell()

    def call(self, key: str, name: str, note: str) -> None:
        """Give a pinned network a name and a note; both are cut to the length that a link can carry."""
        given = (name.strip()[: LONGEST["name"]], note.strip()[: LONGEST["note"]])
        if given != self.texts.get(key, ("", "")):
            self.texts[key] = given
            self._tell()

    def name_of(self, key: str) -> str:
        """The name of a pinned network: the one that was given, else its number."""
        number = next((i for i, pin in enumerate(self.pins, 1) if pin.key == key), 0)
        return self.texts.get(key, ("", ""))[0] or str(number)

    def hint(self, key: str) -> None:
        """Mark a network in the chart while the user points at it elsewhere; "" ends it."""
        if key != self.hinted:
            self.hinted = key
            self._tell()

    def within(self, axis: str, low: float, high: float) -> None:
        """Ask for a range on one of the `axes`; infinite ends bound nothing. A target's upper end is its budget."""
        before = self.ranges.get(axis, (-math.inf, math.inf))
        self._set_range(axis, low, high)
        if axis in self.targets and high != before[1]:
            if math.isinf(high):
                self.switch(axis, False)
            else:
                ends = self.range(axis)
                self.move(axis, min(max(high, ends[0]), ends[1]))
                self._set_range(axis, low, high)
        self._tell(f"axis {axis}")

    def _set_range(self, axis: str, low: float, high: float) -> None:
        if math.isinf(low) and math.isinf(high):
            self.ranges.pop(axis, None)
        else:
            self.ranges[axis] = (low, high)

    def _follow(self, device: str, high: float) -> None:
        """Where a target has a range on its axis, its upper end follows the budget."""
        if device in self.ranges:
            self._set_range(device, min(self.ranges[device][0], high), high)

    def within_all(self, ranges: dict[str, tuple[float, float]]) -> None:
        """Ask for these ranges, and for no others."""
        self.ranges = dict(ranges)
        self._tell()

    def note(self, key: str, **found: Any) -> None:
        """Store measured values of a network."""
        self.measured.setdefault(key, {}).update(found)
        self._tell()

    def accuracy_of(self, key: str) -> float | None:
        """Measured accuracy on validation images, in [0, 1]; None if it is not known."""
        here = self.measured.get(key, {}).get("accuracy")
        known = self.study.measured_accuracy.get(key)
        return known if here is None else float(here)

    # links, undo and redo -------------------------------------------------------------------------------------

    @property
    def query(self) -> str:
        """The state as a query string that `restore` reads."""
        return query_of(self)

    def restore(self, query: str) -> None:
        """Set the state from a query string; see `links.restore`."""
        restore(self, query)

    def restored(self, picked: Candidate | None) -> None:
        """Generate the network for budgets that were set from outside, and tell the views."""
        self.generated = self._generate()
        self.picked = picked
        self._history = History(self._snapshot())
        self._tell()

    @property
    def undoable(self) -> bool:
        """Whether there is a change to undo."""
        return self._history.undoable

    @property
    def redoable(self) -> bool:
        """Whether there is an undone change."""
        return self._history.redoable

    def undo(self) -> None:
        """Take back the last change of this view."""
        self._back_to(self._history.undo())

    def redo(self) -> None:
        """Make the change again that was undone last."""
        self._back_to(self._history.redo())

    def _snapshot(self) -> dict[str, Any]:
        return {name: copy(getattr(self, name)) for name in REMEMBERED}

    def _back_to(self, snapshot: dict[str, Any]) -> None:
        for name, value in snapshot.items():
            setattr(self, name, copy(value))
        for callback in self._observers:
            callback()

    def _generate(self) -> Candidate:
        self.picked = None
        if self.least is not None:
            candidate = self.study.cheapest(self.least, self.on, self.budget, self.generator)
        else:
            candidate = self.study.generate(self.budget, self.generator)
        for name in self.targets:
            if name not in self.active:
                self.budgets[name] = candidate.costs[name]
        return candidate

    def _update(self, kind: str = "") -> None:
        self.generated = self._generate()
        self._tell(kind)

    def _tell(self, kind: str = "") -> None:
        self._history.add(self._snapshot(), kind)
        for callback in self._observers:
            callback()
