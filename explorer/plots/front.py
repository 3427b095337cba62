"""The Pareto chart: plain data first, then a Plotly figure.

Its traces are `TRACES`, always in this order. Moving a budget changes `budget` and `generated` only; the others change
when another device, front or network is looked at.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.core.front import Candidate, Front
from explorer.devices import quantity_of
from explorer.plots.study_view import StudyView

# Okabe and Ito's colours, told apart by colour-blind readers too
GREY, BLUE, ORANGE, GREEN, PINK = "#999999", "#0072B2", "#D55E00", "#009E73", "#CC79A7"
CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
TRACES = ("evaluated", "front", "searched", "generated front", "budget", "pinned", "picked", "measured", "generated")
THEME = "EXPLORER_THEME"  # of the page: "light" or "dark"
MANY = 1000  # points from which WebGL draws the cloud
DRAWN = 2000  # points of the cloud that are drawn: without a GPU, every redrawing pays for each of them


@dataclass(frozen=True)
class Points:
    """Networks in the chart: cost and accuracy (per cent), keys, and (n, k) costs of the devices named on hovering."""

    cost: np.ndarray
    accuracy: np.ndarray
    keys: list[str]
    costs: np.ndarray

    @classmethod
    def none(cls) -> Points:
        """No network."""
        return cls(np.zeros(0), np.zeros(0), [], np.zeros((0, 1)))

    def thinned(self, most: int) -> Points:
        """At most so many: of those that would cover one another, the most accurate, on as fine a grid as it takes."""
        if len(self.cost) <= most:
            return self
        best = np.argsort(-self.accuracy, kind="stable")
        x, y = ((v - v.min()) / max(float(np.ptp(v)), 1e-12) for v in (self.cost[best], self.accuracy[best]))
        for cells in range(400, 8, -8):
            rows = np.unique(np.floor(x * cells) * (cells + 1) + np.floor(y * cells), return_index=True)[1]
            if len(rows) <= most:
                break
        kept = np.sort(best[rows[:most]])
        return Points(self.cost[kept], self.accuracy[kept], [self.keys[i] for i in kept], self.costs[kept])

    def data(self) -> dict[str, Any]:
        """Of a trace."""
        return {"x": self.cost, "y": self.accuracy, "text": self.keys, "customdata": self.costs}


@dataclass(frozen=True)
class FrontInfo:
    """What the chart of one device shows; accuracies in per cent.

    Attributes:
        device, unit, quantity: of the x axis.
        hovered: devices and units whose costs a hover card gives.
        evaluated: every evaluated network; front: those that no other beats; searched: the searched front, predicted.
        provenance: of the device's numbers.
        of_accuracy: "measured" or "predicted": what the evaluated networks' accuracies are.
        of_generated: the same of generated ones.
    """

    device: str
    unit: str
    quantity: str
    hovered: tuple[tuple[str, str], ...]
    evaluated: Points
    front: Points
    searched: Points
    provenance: str
    of_accuracy: str
    of_generated: str = "predicted"

    @cached_property
    def drawn(self) -> Points:
        """Of the evaluated networks, those that the chart draws."""
        return self.evaluated.thinned(DRAWN)

    @property
    def y_range(self) -> tuple[float, float]:
        """Of the y axis: the bulk of the networks with some air."""
        low = float(np.percentile(self.evaluated.accuracy, 1))
        high = float(max(self.evaluated.accuracy.max(), self.front.accuracy.max()))
        air = 0.08 * max(high - low, 0.1)
        return low - air, high + 2 * air


@dataclass(frozen=True)
class Marks:
    """What moves in the chart.

    Attributes:
        generated: the network for the budget, with its band.
        budget: limit per device.
        picked: a network chosen by hand.
        pinned: networks to compare.
        measured: key -> measured accuracy in [0, 1], of those that are marked.
        generated_front: the generator's networks for budgets over the range, None where hidden.
        searched: the searched front is shown.
    """

    generated: Candidate | None = None
    budget: dict[str, float] = field(default_factory=dict)
    picked: Candidate | None = None
    pinned: Sequence[Candidate] = ()
    measured: dict[str, float] = field(default_factory=dict)
    generated_front: Points | None = None
    searched: bool = True


def front_info(study: StudyView, device: str) -> FrontInfo:
    """Collect what the chart of a study's device shows."""
    table, front, searched = study.evaluations, study.front(device), study.searched(device)
    names = list(dict.fromkeys([*study.targets, device]))
    columns, best = table[names].to_numpy(), 100 * front["accuracy"].to_numpy()
    return FrontInfo(
        device, study.devices[device].unit, quantity_of(study.devices[device]),
        tuple((n, study.devices[n].unit) for n in names),
        Points(table[device].to_numpy(), 100 * table["accuracy"].to_numpy(), list(table["key"]), columns),
        Points(front[device].to_numpy(), best, list(front["key"]), front[names].to_numpy()),
        Points(searched[device].to_numpy(float), 100 * searched["predicted"].to_numpy(float), list(searched["key"]),
               searched[[device]].to_numpy(float)),
        str(study.devices[device].provenance), study.origin.evaluated, study.origin.generated,
    )  # fmt: skip


def front_points(front: Front) -> Points:
    """A `Front` of one device as points."""
    keys = [candidate.key for candidate in front]
    return Points(front.costs[:, 0], 100 * front.accuracy, keys, front.costs)


def axis_title(info: FrontInfo) -> str:
    """Quantity, unit and provenance of the x axis."""
    known = len(info.evaluated.cost)
    drawn = len(info.drawn.cost)
    note = "" if drawn == known else f"; {drawn:,} of {known:,} networks are drawn, the others lie behind them"
    return f"{info.device}: {info.quantity} [{info.unit}]<br><sub>{escape(info.provenance)}{note}</sub>"


def budget_line(info: FrontInfo, budget: float | None) -> tuple[list[float], list[float]]:
    """x and y of the budget's line; empty where the device is not bounded."""
    return ([], []) if budget is None else ([budget, budget], list(info.y_range))


def generated_point(info: FrontInfo, candidate: Candidate | None) -> dict[str, Any]:
    """x, y, key and error bar of the generated network."""
    if candidate is None:
        return {"x": [], "y": [], "text": [], "error_y": {"array": [], "arrayminus": []}}
    lo, hi = candidate.interval
    return {
        "x": [candidate.costs[info.device]], "y": [100 * candidate.accuracy], "text": [candidate.key],
        "error_y": {"array": [100 * (hi - candidate.accuracy)], "arrayminus": [100 * (candidate.accuracy - lo)]},
    }  # fmt: skip


def marked(info: FrontInfo, marks: Marks) -> dict[str, dict[str, Any]]:
    """Trace name -> what moves in it."""
    x, y = budget_line(info, marks.budget.get(info.device))
    looked_at = [c for c in (marks.picked, marks.generated, *marks.pinned) if c is not None and c.key in marks.measured]
    known = {c.key: c for c in looked_at}
    return {
        "budget": {"x": x, "y": y},
        "generated": generated_point(info, marks.generated),
        "picked": _candidates(info, [marks.picked] if marks.picked else []),
        "pinned": _candidates(info, marks.pinned) | {"text": [str(i + 1) for i in range(len(marks.pinned))]},
        "measured": {
            "x": [c.costs[info.device] for c in known.values()], "y": [100 * marks.measured[k] for k in known],
            "text": list(known),
        },
        "generated front": (marks.generated_front or Points.none()).data(),
        "searched": {"visible": marks.searched},
    }  # fmt: skip


def _candidates(info: FrontInfo, candidates: Sequence[Candidate]) -> dict[str, Any]:
    return {
        "x": [c.costs[info.device] for c in candidates], "y": [100 * c.accuracy for c in candidates],
        "text": [c.key for c in candidates],
    }  # fmt: skip


def traces(info: FrontInfo, marks: Marks) -> list[Any]:
    """The chart's traces of one device, in the order of `TRACES`."""
    moving = marked(info, marks)
    costs = "<br>".join(f"{n} %{{customdata[{i}]:.4g}} {u}" for i, (n, u) in enumerate(info.hovered))
    at = f"%{{y:.2f}} %, %{{x:.4g}} {info.unit}"
    card = f"%{{text}}<br>%{{y:.2f}} % {info.of_accuracy}<br>{costs}"
    cloud = go.Scattergl if len(info.drawn.cost) > MANY else go.Scatter

    def line(colour: str, dash: str, width: float = 1.5, **given: Any) -> dict[str, Any]:
        return {"mode": "lines", "line": {"color": colour, "width": width, "dash": dash}, **given}

    def marks_of(symbol: str, colour: str, size: int, **given: Any) -> dict[str, Any]:
        marker = {"symbol": symbol, "color": colour, "size": size, "line": {"color": "black", "width": 1}}
        return {"mode": "markers", "marker": marker, **given}

    made = {
        "evaluated": cloud(
            **info.drawn.data(), mode="markers", hovertemplate=card,
            marker={"color": GREY, "size": 5, "opacity": 0.55},
        ),
        "front": go.Scatter(
            **info.front.data(), mode="lines+markers", hovertemplate=card, marker={"color": BLUE, "size": 6},
            line={"color": BLUE, "shape": "hv", "width": 2},
        ),
        "searched": go.Scatter(
            **info.searched.data(), **line(GREEN, "dot"), hovertemplate=f"searched: %{{text}}<br>{at}, predicted",
            **moving["searched"],
        ),
        "generated front": go.Scatter(
            **moving["generated front"], **line(ORANGE, "solid"),
            hovertemplate=f"generated: %{{text}}<br>{at}, {info.of_generated}",
        ),
        "budget": go.Scatter(**moving["budget"], **line(ORANGE, "dash", 2), hoverinfo="skip"),
        "pinned": go.Scatter(
            **moving["pinned"], hovertemplate=f"pinned %{{text}}<br>{at}, {info.of_generated}",
            **marks_of("square", PINK, 13) | {"mode": "markers+text"}, textposition="middle center",
            textfont={"size": 9, "color": "black"},
        ),
        "picked": go.Scatter(
            **moving["picked"], hovertemplate=f"picked: %{{text}}<br>{at}, {info.of_generated}",
            **marks_of("circle-open", PINK, 18),
        ),
        "measured": go.Scatter(
            **moving["measured"], hovertemplate=f"measured: %{{text}}<br>{at}", **marks_of("diamond", BLUE, 11)
        ),
        "generated": go.Scatter(
            **{k: v for k, v in moving["generated"].items() if k != "error_y"}, **marks_of("star", ORANGE, 15),
            hovertemplate=f"generated: %{{text}}<br>{at}, {info.of_generated}",
            error_y={"color": ORANGE, "thickness": 1.5, **moving["generated"]["error_y"]},
        ),
    }  # fmt: skip
    return [made[name].update(name=name) for name in TRACES]


def front_figure(info: FrontInfo, marks: Marks | None = None, log: bool = False) -> go.Figure:
    """The complete chart; wrap it in a `FigureWidget` last, and change that in callbacks only."""
    layout = figure_layout(axis_title(info), "accuracy [%]").update(
        yaxis_range=list(info.y_range), xaxis_type="log" if log else "linear"
    )
    return go.Figure(data=traces(info, marks or Marks()), layout=layout)


def fronts_figure(infos: Sequence[FrontInfo], marks: Sequence[Marks], log: bool = False) -> go.Figure:
    """All devices side by side over one accuracy axis; the traces of each in the order of `TRACES`."""
    figure = make_subplots(1, len(infos), shared_yaxes=True, horizontal_spacing=0.03)
    for column, (info, moving) in enumerate(zip(infos, marks), 1):
        for trace in traces(info, moving):
            figure.add_trace(trace.update(showlegend=False), row=1, col=column)
        figure.update_xaxes(title=f"{info.device} [{info.unit}]", type="log" if log else "linear", row=1, col=column)
    shared = figure_layout("", "").update(height=280, margin={"l": 60, "r": 16, "t": 10, "b": 50})
    figure.update_layout(
        template=shared.template, height=shared.height, margin=shared.margin, hovermode="closest", uirevision="keep"
    )
    figure.update_yaxes(range=list(infos[0].y_range))
    figure.update_yaxes(title="accuracy [%]", col=1)
    return figure


def figure_layout(x: str, y: str) -> go.Layout:
    """What all charts share; dark where the page is."""
    dark = os.environ.get(THEME) == "dark"
    return go.Layout(
        template="plotly_dark" if dark else "plotly_white",
        height=430,
        margin={"l": 60, "r": 16, "t": 34, "b": 70},
        xaxis={"title": x},
        yaxis={"title": y},
        legend={"orientation": "h", "y": 1.1, "x": 0},
        hovermode="closest",
        uirevision="keep",
    )
