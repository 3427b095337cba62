"""The Pareto chart: its plain data, and the Plotly figure.

The chart's traces are `TRACES`, always in this order. Moving a budget changes only `budget` and `generated`; the other
traces change when another device, front or network is selected.
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

# colour-blind-safe palette by Okabe and Ito
GREY, BLUE, ORANGE, GREEN, PINK = "#999999", "#0072B2", "#D55E00", "#009E73", "#CC79A7"
CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
TRACES = (
    "band", "evaluated", "front", "searched", "generated front", "found", "budget", "pinned", "picked", "hinted",
    "measured", "generated",
)  # fmt: skip
THEME = "EXPLORER_THEME"  # environment variable with the page's theme: "light" or "dark"
MANY = 1000  # with more points than this, the evaluated networks are drawn by WebGL
DRAWN = 2000  # evaluated networks drawn at most: without a GPU, the time of every redraw grows with their number


@dataclass(frozen=True)
class Points:
    """Networks in the chart.

    Attributes:
        cost: (n,) cost on the x axis, in the device's unit.
        accuracy: (n,) accuracy in per cent.
        keys: n architecture keys.
        costs: (n, k) costs on the k devices that the hover text lists.
    """

    cost: np.ndarray
    accuracy: np.ndarray
    keys: list[str]
    costs: np.ndarray

    @classmethod
    def none(cls) -> Points:
        """Return an empty set of points."""
        return cls(np.zeros(0), np.zeros(0), [], np.zeros((0, 1)))

    def thinned(self, most: int) -> Points:
        """Reduce to at most `most` points: the most accurate one per cell of the finest grid that gives so few."""
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
        """Return the points as keyword arguments of a Plotly trace."""
        return {"x": self.cost, "y": self.accuracy, "text": self.keys, "customdata": self.costs}


@dataclass(frozen=True)
class FrontInfo:
    """The static content of the chart of one device; accuracies in per cent.

    Attributes:
        device, unit, quantity: device name, unit and quantity of the x axis.
        hovered: (device, unit) pairs whose costs the hover text lists.
        evaluated: all evaluated networks.
        front: the non-dominated evaluated networks.
        searched: the front found by a search, with predicted accuracy.
        band: (n, 2) lower and upper end of the accuracy's prediction interval, for each network of `searched`.
        provenance: where the device's costs come from.
        of_accuracy: "measured" or "predicted": how the evaluated networks' accuracies were obtained.
        of_generated: "measured" or "predicted": the same for generated networks.
    """

    device: str
    unit: str
    quantity: str
    hovered: tuple[tuple[str, str], ...]
    evaluated: Points
    front: Points
    searched: Points
    band: np.ndarray
    provenance: str
    of_accuracy: str
    of_generated: str = "predicted"

    @cached_property
    def drawn(self) -> Points:
        """The evaluated networks that the chart draws."""
        return self.evaluated.thinned(DRAWN)

    @property
    def y_range(self) -> tuple[float, float]:
        """Range of the y axis: from the first percentile of the accuracies to the highest point, with some padding."""
        low = float(np.percentile(self.evaluated.accuracy, 1))
        high = float(max(self.evaluated.accuracy.max(), self.front.accuracy.max(), *self.band[:, 1]))
        air = 0.08 * max(high - low, 0.1)
        return low - air, high + 2 * air


@dataclass(frozen=True)
class Marks:
    """The interactive content of the chart.

    Attributes:
        generated: the network generated for the budget, drawn with its prediction interval.
        budget: limit per device.
        picked: a network selected by the user.
        pinned: networks pinned for comparison.
        measured: key -> measured accuracy in [0, 1]; drawn for the networks above.
        generated_front: the generator's networks for budgets over the whole range, None to hide them.
        searched: whether the searched front is shown.
        band: whether its error band is shown.
        found: networks within the ranges that are asked for on the axes.
        hinted: a network that the user points at elsewhere.
    """

    generated: Candidate | None = None
    budget: dict[str, float] = field(default_factory=dict)
    picked: Candidate | None = None
    pinned: Sequence[Candidate] = ()
    measured: dict[str, float] = field(default_factory=dict)
    generated_front: Points | None = None
    searched: bool = True
    band: bool = False
    found: Points | None = None
    hinted: Candidate | None = None


def front_info(study: StudyView, device: str) -> FrontInfo:
    """Collect the static content of a study's chart for one device."""
    table, front, searched = study.evaluations, study.front(device), study.searched(device)
    table = table[table[device].notna()]  # a device may have no price for some networks
    names = list(dict.fromkeys([*study.main_targets, device]))
    columns, best = table[names].to_numpy(), 100 * front["accuracy"].to_numpy()
    return FrontInfo(
        device, study.devices[device].unit, quantity_of(study.devices[device]),
        tuple((n, study.devices[n].unit) for n in names),
        Points(table[device].to_numpy(), 100 * table["accuracy"].to_numpy(), list(table["key"]), columns),
        Points(front[device].to_numpy(), best, list(front["key"]), front[names].to_numpy()),
        Points(searched[device].to_numpy(float), 100 * searched["predicted"].to_numpy(float), list(searched["key"]),
               searched[[device]].to_numpy(float)),
        100 * np.column_stack(study.predictor.interval(searched["predicted"].to_numpy(float))),
        str(study.devices[device].provenance), study.origin.evaluated, study.origin.generated,
    )  # fmt: skip


def front_points(front: Front) -> Points:
    """Convert a `Front` of one device to points."""
    keys = [candidate.key for candidate in front]
    return Points(front.costs[:, 0], 100 * front.accuracy, keys, front.costs)


def axis_title(info: FrontInfo) -> str:
    """Format the x axis title: device, quantity, unit and provenance."""
    known = len(info.evaluated.cost)
    drawn = len(info.drawn.cost)
    note = "" if drawn == known else f"; {drawn:,} of {known:,} networks are drawn; the others overlap them"
    return f"{info.device}: {info.quantity} [{info.unit}]<br><sub>{escape(info.provenance)}{note}</sub>"


def budget_line(info: FrontInfo, budget: float | None) -> tuple[list[float], list[float]]:
    """Compute x and y of the budget line; both are empty if the device is unconstrained."""
    return ([], []) if budget is None else ([budget, budget], list(info.y_range))


def generated_point(info: FrontInfo, candidate: Candidate | None) -> dict[str, Any]:
    """Compute x, y, key and error bar of the generated network."""
    if candidate is None:
        return {"x": [], "y": [], "text": [], "error_y": {"array": [], "arrayminus": []}}
    lo, hi = candidate.interval
    return {
        "x": [candidate.costs[info.device]], "y": [100 * candidate.accuracy], "text": [candidate.key],
        "error_y": {"array": [100 * (hi - candidate.accuracy)], "arrayminus": [100 * (candidate.accuracy - lo)]},
    }  # fmt: skip


def marked(info: FrontInfo, marks: Marks) -> dict[str, dict[str, Any]]:
    """Compute the properties of the interactive traces: trace name -> changed properties."""
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
        "band": {"visible": marks.band},
        "found": (marks.found or Points.none()).data(),
        "hinted": _candidates(info, [marks.hinted] if marks.hinted else []),
    }  # fmt: skip


def _candidates(info: FrontInfo, candidates: Sequence[Candidate]) -> dict[str, Any]:
    return {
        "x": [c.costs[info.device] for c in candidates], "y": [100 * c.accuracy for c in candidates],
        "text": [c.key for c in candidates],
    }  # fmt: skip


def traces(info: FrontInfo, marks: Marks) -> list[Any]:
    """Build the chart's traces for one device, in the order of `TRACES`."""
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

    along, (lower, upper) = info.searched.cost, info.band.T
    made = {
        "band": go.Scatter(
            x=np.concatenate([along, along[::-1]]), y=np.concatenate([upper, lower[::-1]]), mode="lines", fill="toself",
            fillcolor="rgba(0,158,115,0.13)", line={"width": 0}, hoverinfo="skip", showlegend=False, **moving["band"],
        ),
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
        "found": go.Scatter(
            **moving["found"], hovertemplate=f"within the axes: %{{text}}<br>{at}, {info.of_generated}",
            **marks_of("circle", "#56B4E9", 8),
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
        "hinted": go.Scatter(
            **moving["hinted"], hoverinfo="skip", showlegend=False, **marks_of("circle-open", PINK, 24),
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
    """Build the complete chart; wrap it in a `FigureWidget` last, and change only that widget in callbacks."""
    layout = figure_layout(axis_title(info), "accuracy [%]").update(
        yaxis_range=list(info.y_range), xaxis_type="log" if log else "linear"
    )
    return go.Figure(data=traces(info, marks or Marks()), layout=layout)


def fronts_figure(infos: Sequence[FrontInfo], marks: Sequence[Marks], log: bool = False) -> go.Figure:
    """Build the charts of several devices side by side with a shared accuracy axis.

    The traces of each device are in the order of `TRACES`.
    """
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
    """Return the layout that all charts share, with axis titles `x` and `y`; dark if the page's theme is dark."""
    dark = os.environ.get(THEME) == "dark"
    return go.Layout(
        template="plotly_dark" if dark else "plotly_white",
        height=430,
        margin={"l": 60, "r": 16, "t": 34, "b": 70},
        xaxis={"title": x},
        yaxis={"title": y},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
        hovermode="closest",
        uirevision="keep",
    )
