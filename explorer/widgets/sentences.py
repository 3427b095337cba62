"""Sentences on the state of the page, shown on it and read out by screen readers."""

from __future__ import annotations

import math

import pandas as pd

from explorer.devices import amount
from explorer.devices.boards import BOARDS, lacking
from explorer.devices.quantities import FP32
from explorer.widgets.state import DashboardState


def summary(state: DashboardState) -> str:
    """The current network in one or two sentences, also for screen readers."""
    c, study = state.candidate, state.study
    costs = ", ".join(f"{name} {amount(study.devices[name], c.costs[name], 3)}" for name in state.targets)
    band = f"{c.interval[0]:.1%} to {c.interval[1]:.1%}"
    what = f"{study.origin.generated.capitalize()} accuracy{in_words(study.precision)}"
    said = f"{what} {c.accuracy:.1%} ({band}); {costs}."
    if beyond := [name for name in study.extrapolated(c.architecture) if name in state.targets]:
        said += f" Extrapolated beyond what was measured there: {', '.join(beyond)}."
    if state.picked:
        return f"Picked from the chart. {said}"
    if c.feasible:
        return said
    if state.least is not None:
        line = study.unreached_line(state.least, c, state.budget)
        return f"{line[0].upper()}{line[1:]}. {said}"
    short = lacking(BOARDS[state.board], dict(c.costs)) if state.board else ""
    return f"Not reachable: {study.nearest_line(state.budget, c)}{f'; {short}' * bool(short)}. {said}"


def one_more(state: DashboardState) -> str:
    """A sentence: how much predicted accuracy a slightly larger or smaller first active budget gives."""
    if state.least is not None:
        return f"The cheapest network on {state.on} with an accuracy of at least {state.least:.2%}."
    device = next(iter(state.budget), None)
    if device is None:
        return "All budgets are off: the page shows the most accurate network."
    unit, (low, high) = state.study.devices[device].unit, state.range(device)
    step, at = step_of(low, high), state.budgets[device]
    here = state.generated.accuracy
    asked = pd.DataFrame([state.budget | {device: max(low, at + d)} for d in (step, -step)])
    more, less = (c.accuracy - here for c in state.study.generate_many(asked, state.generator))
    buys, costs = (abs(round(100 * max(gain, 0), 2)) for gain in (more, -less))  # abs avoids -0.00
    return (
        f"{step:g} {unit} more on {device} buys {buys:.2f} points; {step:g} {unit} less costs {costs:.2f} "
        f"({state.study.origin.generated})."
    )


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
