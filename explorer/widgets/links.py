"""The page's state as a query string, so that a view is a link, and back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from explorer.core.errors import InputError, unknown
from explorer.devices.boards import BOARDS
from explorer.devices.quantities import FP32

if TYPE_CHECKING:
    from explorer.widgets.state import DashboardState

FRONTS = ("searched", "generated front", "band")
LONGEST = {"name": 40, "note": 300}  # characters of a pin's name and note


def query_of(state: DashboardState) -> str:
    """Write the state as a query string that `restore` reads."""
    wanted: dict[str, Any] = {"study": state.study.name, "chart": state.chart, "generator": state.generator}
    wanted |= {f"budget-{name}": repr(float(value)) for name, value in state.budget.items()}
    wanted |= {"precision": state.study.precision} if state.study.precision != FP32 else {}
    wanted |= {"board": state.board} if state.board else {}
    wanted |= {"least": repr(state.least), "cheapest": state.on} if state.least is not None else {}
    wanted |= {"log": 1} if state.log else {}
    wanted |= {"every": 1} if state.every else {}
    wanted |= {"shown": ",".join(sorted(state.shown))}
    wanted |= {"picked": state.picked.key} if state.picked else {}
    wanted |= {"pins": ",".join(p.key for p in state.pins)} if state.pins else {}
    for i, pin in enumerate(state.pins, 1):
        wanted |= {f"{what}-{i}": text for what, text in zip(LONGEST, state.texts.get(pin.key, ("", ""))) if text}
    wanted |= {f"axis-{name}": f"{_end(low)}:{_end(high)}" for name, (low, high) in state.ranges.items()}
    return urlencode(wanted)


def _end(value: float) -> str:
    return "" if math.isinf(value) else repr(float(value))


def restore(state: DashboardState, query: str) -> None:
    """Set the state from a query string; chart, generator, budgets and fronts that it does not name stay.

    Raises:
        InputError: a name that this study does not have, or a budget that is not a number above 0.
    """
    given = {name: values[0] for name, values in parse_qs(query).items()}
    targets, study, memory = state.targets, state.study, {"ram_kb", "flash_kb"}
    for name, known in (("chart", list(study.devices)), ("generator", study.generators)):
        if given.get(name, known[0]) not in known:
            raise unknown(name, given[name], known)
    budgets = {n.removeprefix("budget-"): _positive(n, v) for n, v in given.items() if n.startswith("budget-")}
    for device in budgets:
        if device not in targets:
            raise unknown("target", device, targets)
    least = _positive("least", given["least"]) if "least" in given else None
    if least is not None and least > 1:
        raise InputError(f"least = {least:g}; expected a share from 0 to 1, such as 0.93")
    board = given.get("board", "")
    if board and board not in BOARDS:
        raise unknown("board", board, BOARDS)
    if board and not memory.issubset(targets):
        raise InputError(f"board {board!r} bounds ram_kb and flash_kb, which this view has no sliders for")
    on = given.get("cheapest", state.on)
    if on not in targets:
        raise unknown("target", on, targets)
    ranges = {n.removeprefix("axis-"): _range(n, v) for n, v in given.items() if n.startswith("axis-")}
    for axis in ranges:
        if axis not in state.axes:
            raise unknown("axis", axis, state.axes)
    keys = list(dict.fromkeys(key for key in given.get("pins", "").split(",") if key))[: state.most]
    pins = [study.candidate(study.architecture(key)) for key in keys]
    picked = study.candidate(study.architecture(given["picked"])) if "picked" in given else None
    if budgets or least is not None:
        state.active = set(budgets) - ({on} if least is not None else set())
        state.budgets |= {d: min(max(v, state.range(d)[0]), state.range(d)[1]) for d, v in budgets.items()}
    if board:
        state.budgets |= BOARDS[board].budget
        state.active |= memory
        state.board = board
    state.chart, state.generator = given.get("chart", state.chart), given.get("generator", state.generator)
    if least is not None:
        state.least, state.on = least, on
    state.log, state.every, state.ranges = "log" in given, "every" in given, ranges
    if "shown" in given:
        state.shown = set(given["shown"].split(",")) & set(FRONTS)
    state.pins, state.texts = pins, {}
    for i, pin in enumerate(pins, 1):
        name, note = (given.get(f"{what}-{i}", "")[:most] for what, most in LONGEST.items())
        if name or note:
            state.texts[pin.key] = (name, note)
    state.restored(picked)


def _positive(name: str, text: str) -> float:
    value = _number(text)
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"{name} = {text!r}; expected a number above 0")
    return value


def _range(name: str, text: str) -> tuple[float, float]:
    low, colon, high = text.partition(":")
    ends = (_number(low or "-inf"), _number(high or "inf"))
    if not colon or not ends[0] <= ends[1]:
        raise InputError(f"{name} = {text!r}; expected two numbers with a colon between, such as 1.5:4")
    return ends


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
