"""The Pareto chart: plain data first, then a Plotly figure.

Five traces, always in this order: `evaluated` (every measured network), `front`, `searched` (the front that a search
found by predicted accuracy), `budget` (a vertical line) and `generated`. Moving the budget changes the last two only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from explorer.front import Candidate

# Okabe and Ito's colours, told apart by colour-blind readers too
GREY, BLUE, ORANGE, GREEN = "#999999", "#0072B2", "#D55E00", "#009E73"
CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}


@dataclass(frozen=True)
class FrontInfo:
    """What the chart of one device shows; accuracies in per cent.

    Attributes:
        device, unit: of the x axis.
        cost, accuracy, keys: of every evaluated network.
        front_cost, front_accuracy, front_keys: of those that no other beats.
        searched_cost, searched_accuracy, searched_keys: of the searched front, predicted.
        provenance: of the device's numbers.
    """

    device: str
    unit: str
    cost: np.ndarray
    accuracy: np.ndarray
    keys: list[str]
    front_cost: np.ndarray
    front_accuracy: np.ndarray
    front_keys: list[str]
    searched_cost: np.ndarray
    searched_accuracy: np.ndarray
    searched_keys: list[str]
    provenance: str

    @property
    def y_range(self) -> tuple[float, float]:
        """Of the y axis: the bulk of the networks with some air."""
        low = float(np.percentile(self.accuracy, 1))
        high = float(max(self.accuracy.max(), self.front_accuracy.max()))
        air = 0.08 * max(high - low, 0.1)
        return low - air, high + 2 * air


def front_info(study: Any, device: str) -> FrontInfo:
    """Collect what the chart of a study's device shows."""
    table, front, searched = study.evaluations, study.front(device), study.searched(device)
    return FrontInfo(
        device, study.devices[device].unit, table[device].to_numpy(), 100 * table["accuracy"].to_numpy(),
        list(table["key"]), front[device].to_numpy(), 100 * front["accuracy"].to_numpy(), list(front["key"]),
        searched[device].to_numpy(float), 100 * searched["predicted"].to_numpy(float), list(searched["key"]),
        str(study.devices[device].provenance),
    )  # fmt: skip


def axis_title(info: FrontInfo) -> str:
    """Quantity, unit and provenance of the x axis."""
    what = "latency" if info.unit == "ms" else "count"
    return f"{info.device}: {what} [{info.unit}]<br><sub>{info.provenance}</sub>"


def budget_line(info: FrontInfo, budget: float | None) -> tuple[list[float], list[float]]:
    """x and y of the budget's line; empty where the device is not bounded."""
    return ([], []) if budget is None else ([budget, budget], list(info.y_range))


def generated_point(info: FrontInfo, candidate: Candidate | None) -> dict[str, Any]:
    """x, y and error bar of the generated network."""
    if candidate is None:
        return {"x": [], "y": [], "error_y": {"array": [], "arrayminus": []}}
    lo, hi = candidate.interval
    return {
        "x": [candidate.costs[info.device]], "y": [100 * candidate.accuracy],
        "error_y": {"array": [100 * (hi - candidate.accuracy)], "arrayminus": [100 * (candidate.accuracy - lo)]},
    }  # fmt: skip


def front_figure(info: FrontInfo, budget: float | None = None, candidate: Candidate | None = None) -> go.Figure:
    """The complete chart; wrap it in a `FigureWidget` last, and change that in callbacks only."""
    x, y = budget_line(info, budget)
    point = generated_point(info, candidate)
    hover = "%{customdata}<br>%{y:.2f} % at %{x:.4g} " + info.unit
    traces = [
        go.Scatter(
            name="evaluated", x=info.cost, y=info.accuracy, mode="markers", customdata=info.keys, hovertemplate=hover,
            marker={"color": GREY, "size": 5, "opacity": 0.55},
        ),
        go.Scatter(
            name="front", x=info.front_cost, y=info.front_accuracy, mode="lines+markers", customdata=info.front_keys,
            hovertemplate=hover, line={"color": BLUE, "shape": "hv", "width": 2}, marker={"color": BLUE, "size": 6},
        ),
        go.Scatter(
            name="searched", x=info.searched_cost, y=info.searched_accuracy, mode="lines",
            customdata=info.searched_keys, hovertemplate="searched, predicted: " + hover,
            line={"color": GREEN, "width": 1.5, "dash": "dot"},
        ),
        go.Scatter(
            name="budget", x=x, y=y, mode="lines", hoverinfo="skip",
            line={"color": ORANGE, "dash": "dash", "width": 2},
        ),
        go.Scatter(
            name="generated", mode="markers", hovertemplate="generated: %{y:.2f} % predicted at %{x:.4g} " + info.unit,
            marker={"color": ORANGE, "size": 15, "symbol": "star", "line": {"color": "black", "width": 1}},
            x=point["x"], y=point["y"], error_y={"color": ORANGE, "thickness": 1.5, **point["error_y"]},
        ),
    ]  # fmt: skip
    layout = figure_layout(axis_title(info), "accuracy [%]").update(yaxis_range=list(info.y_range))
    return go.Figure(data=traces, layout=layout)


def figure_layout(x: str, y: str) -> go.Layout:
    """What all charts share."""
    return go.Layout(
        template="plotly_white", height=430, margin={"l": 60, "r": 16, "t": 34, "b": 70}, xaxis={"title": x},
        yaxis={"title": y}, legend={"orientation": "h", "y": 1.1, "x": 0}, hovermode="closest", uirevision="keep",
    )  # fmt: skip
