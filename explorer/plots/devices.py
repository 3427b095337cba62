"""Comparison of devices: predicted against measured latency, and the ranking on one device against another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from explorer.core.front import kendall_tau
from explorer.core.protocols import Device, SearchSpace
from explorer.devices import error_of
from explorer.plots.front import BLUE, CONFIG, GREEN, GREY, ORANGE, figure_layout


def verdict(predicted: np.ndarray, measured: np.ndarray) -> str:
    """Summarise in one sentence how well predicted latencies agree with measured ones, in rank and in value.

    Args:
        predicted, measured: (n,) latencies in ms.
    """
    error = error_of(predicted, measured)
    factor = float(np.median(measured / predicted))
    off = f"{error['mape']:.1%} off on average"
    tau = f"Kendall's tau {error['kendall_tau']:.2f} on {error['networks']} networks"
    if error["kendall_tau"] < 0.8:
        return f"Do not rely on this device model on this machine: it ranks networks poorly ({tau}), and is {off}."
    if error["mape"] <= 0.1:
        return f"The device model is accurate on this machine: {off}, {tau}."
    if abs(np.log(factor)) > 0.1:
        return (
            f"It ranks networks rightly ({tau}) but measured latencies are {factor:.2f} times the predicted: "
            f"another machine, runtime or number of threads than this one's."
        )
    return (
        f"It ranks networks rightly ({tau}) and is {off}: use it to choose networks, but measure "
        "latency before you rely on absolute values."
    )


def agreement_figure(device: str, hardware: str, predicted: np.ndarray, measured: np.ndarray) -> go.Figure:
    """Plot predicted (x) against measured (y) latency in ms, with the line of perfect agreement."""
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


def rank_table(space: SearchSpace, codes: np.ndarray, devices: Sequence[Device]) -> pd.DataFrame:
    """Compute Kendall's tau between all pairs of devices on the same architectures (1: identical ranking)."""
    costs = [device.cost(space, codes) for device in devices]
    names = [device.name for device in devices]
    return pd.DataFrame([[round(kendall_tau(a, b), 2) for b in costs] for a in costs], index=names, columns=names)


def costs_figure(space: SearchSpace, codes: np.ndarray, x: Device, devices: Sequence[Device]) -> go.Figure:
    """Plot the costs on up to three devices, each relative to its mean, against the cost on device `x`."""
    against = x.cost(space, codes)
    traces = []
    for device, colour, symbol in zip(devices, (BLUE, ORANGE, GREEN), ("circle", "x", "diamond")):
        y = device.cost(space, codes)
        name = f"{device.name} (tau {kendall_tau(against, y):.2f})"
        traces.append(
            go.Scatter(name=name, x=against, y=y / y.mean(), mode="markers", marker={"color": colour, "symbol": symbol})
        )
    figure = go.Figure(data=traces, layout=figure_layout(f"{x.name} [{x.unit}]", "cost relative to the device's mean"))
    figure._config = CONFIG
    return figure
