"""The state of the page: study, budgets, current network, pinned networks. Views observe it; it knows none of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

import pandas as pd

from explorer.core.errors import InputError, unknown
from explorer.core.front import Candidate
from explorer.devices import amount
from explorer.devices.boards import BOARDS, lacking
from explorer.devices.quantities import FP32
from explorer.study import Study

PINS = 4
MEMORY = ("ram_kb", "flash_kb")  # what a board bounds


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
        shown: fronts in the chart: "searched", "generated front".
        generator: the name of the generator.
        generated: the network generated for the budget.
        picked: a network chosen by hand, or None.
        pins: pinned networks to compare, at most four.
        measured: values measured on this page: key -> {"accuracy": number, "latency": text}.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.targets = study, study.main_targets
        self.chart: str = self.targets[0]
        self.every, self.log = False, False
        self.shown: set[str] = {"searched"}
        self.generator: str = study.generators[0]
        self.budgets: dict[str, float] = {}
        self.active: set[str] = {self.chart}
        self.board = ""
        self.least: float | None = None
        self.on: str = self.chart
        self.picked: Candidate | None = None
        self.pins: list[Candidate] = []
        self.measured: dict[str, dict[str, Any]] = {}
        self._observers: list[Callable[[], None]] = []
        self.budgets[self.chart] = study.knee(self.chart)
        self.generated: Candidate = self._generate()

    @property
    def candidate(self) -> Candidate:
        """The current network: the picked one, else the generated one."""
        return self.picked or self.generated

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
        self._leave_board()
        self._update()

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

    def one_more(self) -> str:
        """A sentence: how much predicted accuracy a slightly larger or smaller first active budget gives."""
        if self.least is not None:
            return f"The cheapest network on {self.on} with an accuracy of at least {self.least:.2%}."
        device = next(iter(self.budget), None)
        if device is None:
            return "All budgets are off: the page shows the most accurate network."
        unit, (low, high) = self.study.devices[device].unit, self.range(device)
        step, at = step_of(low, high), self.budgets[device]
        here = self.generated.accuracy
        asked = pd.DataFrame([self.budget | {device: max(low, at + d)} for d in (step, -step)])
        more, less = (c.accuracy - here for c in self.study.generate_many(asked, self.generator))
        buys, costs = (abs(round(100 * max(gain, 0), 2)) for gain in (more, -less))  # abs avoids -0.00
        return (
            f"{step:g} {unit} more on {device} buys {buys:.2f} points; {step:g} {unit} less costs {costs:.2f} "
            f"({self.study.origin.generated})."
        )

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
        if len(self.pins) == PINS:
            raise InputError(f"{PINS} networks are pinned already; unpin one first")
        self.pins.append(self.candidate)
        self._tell()

    def unpin(self, key: str) -> None:
        """Remove a network from the pinned ones."""
        self.pins = [p for p in self.pins if p.key != key]
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

    # links ----------------------------------------------------------------------------------------------------

    @property
    def query(self) -> str:
        """The state as a query string that `restore` reads."""
        wanted: dict[str, Any] = {"study": self.study.name, "chart": self.chart, "generator": self.generator}
        wanted |= {f"budget-{name}": repr(float(value)) for name, value in self.budget.items()}
        wanted |= {"precision": self.study.precision} if self.study.precision != FP32 else {}
        wanted |= {"board": self.board} if self.board else {}
        wanted |= {"least": repr(self.least), "cheapest": self.on} if self.least is not None else {}
        wanted |= {"log": 1} if self.log else {}
        wanted |= {"every": 1} if self.every else {}
        wanted |= {"shown": ",".join(sorted(self.shown))}
        wanted |= {"picked": self.picked.key} if self.picked else {}
        wanted |= {"pins": ",".join(p.key for p in self.pins)} if self.pins else {}
        return urlencode(wanted)

    def restore(self, query: str) -> None:
        """Set the state from a query string; chart, generator, budgets and fronts that it does not name stay.

        Raises:
            InputError: a name that this study does not have, or a budget that is not a number above 0.
        """
        given = {name: values[0] for name, values in parse_qs(query).items()}
        devices, study = self.targets, self.study
        for name, known in (("chart", list(study.devices)), ("generator", study.generators)):
            if given.get(name, known[0]) not in known:
                raise unknown(name, given[name], known)
        budgets = {n.removeprefix("budget-"): _number(n, v) for n, v in given.items() if n.startswith("budget-")}
        for device in budgets:
            if device not in devices:
                raise unknown("target", device, devices)
        least = _number("least", given["least"]) if "least" in given else None
        if least is not None and least > 1:
            raise InputError(f"least = {least:g}; expected a share from 0 to 1, such as 0.93")
        board = given.get("board", "")
        if board and board not in BOARDS:
            raise unknown("board", board, BOARDS)
        if board and not set(MEMORY).issubset(devices):
            raise InputError(f"board {board!r} bounds {' and '.join(MEMORY)}, which this view has no sliders for")
        on = given.get("cheapest", self.on)
        if on not in devices:
            raise unknown("target", on, devices)
        if budgets or least is not None:
            self.active = set(budgets) - ({on} if least is not None else set())
            self.budgets |= {d: min(max(v, self.range(d)[0]), self.range(d)[1]) for d, v in budgets.items()}
        if board:
            self.budgets |= BOARDS[board].budget
            self.active |= set(MEMORY)
            self.board = board
        self.chart, self.generator = given.get("chart", self.chart), given.get("generator", self.generator)
        if least is not None:
            self.least, self.on = least, on
        self.log, self.every = "log" in given, "every" in given
        if "shown" in given:
            self.shown = set(given["shown"].split(",")) & {"searched", "generated front"}
        self.generated = self._generate()
        keys = [key for key in given.get("pins", "").split(",") if key][:PINS]
        self.pins = [study.candidate(study.architecture(key)) for key in keys]
        self.picked = study.candidate(study.architecture(given["picked"])) if "picked" in given else None
        self._tell()

    def summary(self) -> str:
        """The current network in one or two sentences, also for screen readers."""
        c, study = self.candidate, self.study
        costs = ", ".join(f"{name} {amount(study.devices[name], c.costs[name], 3)}" for name in self.targets)
        band = f"{c.interval[0]:.1%} to {c.interval[1]:.1%}"
        what = f"{study.origin.generated.capitalize()} accuracy{in_words(study.precision)}"
        said = f"{what} {c.accuracy:.1%} ({band}); {costs}."
        if beyond := [name for name in study.extrapolated(c.architecture) if name in self.targets]:
            said += f" Extrapolated beyond what was measured there: {', '.join(beyond)}."
        if self.picked:
            return f"Picked from the chart. {said}"
        if c.feasible:
            return said
        if self.least is not None:
            line = study.unreached_line(self.least, c, self.budget)
            return f"{line[0].upper()}{line[1:]}. {said}"
        short = lacking(BOARDS[self.board], dict(c.costs)) if self.board else ""
        return f"Not reachable: {study.nearest_line(self.budget, c)}{f'; {short}' * bool(short)}. {said}"

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

    def _update(self) -> None:
        self.generated = self._generate()
        self._tell()

    def _tell(self) -> None:
        for callback in self._observers:
            callback()


def step_of(low: float, high: float) -> float:
    """A step of the budget: 1 if the range spans at least 5, else about a tenth of it, as a round number."""
    if high - low >= 5:
        return 1.0
    tenth = (high - low) / 10
    magnitude = 10.0 ** math.floor(math.log10(tenth))
    return float(f"{max(k for k in (1, 2, 5) if k == 1 or k * magnitude <= tenth) * magnitude:.3g}")


def in_words(precision: str) -> str:
    """Say a precision behind the word "accuracy"; nothing for float32.

    >>> in_words("int8")
    ' in eight bits'
    """
    return "" if precision == FP32 else " in eight bits"


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} = {text!r}; expected a number above 0")
    return value
