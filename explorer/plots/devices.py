"""Predicted against measured latency: a verdict in words, and the chart."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from explorer.devices import error_of
from explorer.plots.front import BLUE, CONFIG, GREY, figure_layout


def verdict(predicted: np.ndarray, measured: np.ndarray) -> str:
    """One sentence: do predictions agree with measurements, in rank and in value?

    Args:
        predicted, measured: (n,) ms.
    """
    error = error_of(predicted, measured)
    factor = float(np.median(measured / predicted))
    off = f"{error['mape']:.1%} off on average"
    tau = f"Kendall's tau {error['kendall_tau']:.2f} on {error['networks']} networks"
    if error["kendall_tau"] < 0.8:
        return f"Do not rely on it here: it ranks networks poorly ({tau}), and is {off}."
    if error["mape"] <= 0.1:
        return f"It holds on this machine: {off}, {tau}."
    if abs(np.log(factor)) > 0.1:
        return (
            f"It ranks networks rightly ({tau}) but measured latencies are {factor:.2f} times the predicted: "
            f"another machine, runtime or number of threads than this one's."
        )
    return f"It ranks networks rightly ({tau}) and is {off}: use it for choosing, measure before you promise."


def agreement_figure(device: str, hardware: str, predicted: np.ndarray, measured: np.ndarray) -> go.Figure:
    """Predicted (x) against measured (y) in ms, with the line of perfect agreement."""
    ends = [float(min(predicted.min(), measured.min())), float(max(predicted.max(), measured.max()))]
    traces = [
        go.Scatter(
            name="equal", x=ends, y=ends, mode="lines", line={"color": GREY, "dash": "dash"}, hoverinfo="skip"
        ),
        go.Scatter(name="networks", x=predicted, y=measured, mode="markers", marker={"color": BLUE, "size": 7}),
    ]  # fmt: skip
    figure = go.Figure(data=traces, layout=figure_layout(f"{device}: predicted [ms]", f"measured on {hardware} [ms]"))
    figure._config = CONFIG
    return figure
