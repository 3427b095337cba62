"""Comparison of searches: their fronts in one chart, and their hypervolumes over seeds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from explorer.core.errors import unknown
from explorer.core.front import Front
from explorer.plots.front import BLUE, CONFIG, GREEN, GREY, ORANGE, figure_layout

COLOURS = (ORANGE, BLUE, GREEN, GREY, "#CC79A7", "#E69F00")
SYMBOLS = ("circle", "square", "diamond", "x", "triangle-up", "cross")


def front_lines(fronts: Mapping[str, Front], device: str) -> go.Figure:
    """Plot accuracy [%] against the cost on one device, with one stepped line per front.

    Raises:
        InputError: a front has no costs on this device.
    """
    traces = []
    for (name, front), colour, symbol in zip(fronts.items(), COLOURS, SYMBOLS):
        if device not in front.devices:
            raise unknown("device", device, front.devices)
        traces.append(go.Scatter(
            name=name, x=front.costs[:, front.devices.index(device)], y=100 * front.accuracy, mode="lines+markers",
            line={"color": colour, "shape": "hv"}, marker={"symbol": symbol, "size": 5},
        ))  # fmt: skip
    source = " and ".join(sorted({front.source for front in fronts.values()}))
    figure = go.Figure(data=traces, layout=figure_layout(device, f"accuracy, {source} [%]"))
    figure._config = CONFIG
    return figure


def hypervolume_bars(runs: pd.DataFrame) -> go.Figure:
    """Plot each run's hypervolume as a share of the best one known, with one column of points per algorithm.

    Args:
        runs: the result of `explorer.searches.compare.compare`.
    """
    traces = [
        go.Scatter(
            name=name, x=[name] * len(rows), y=rows["share"], mode="markers", customdata=rows["seed"],
            marker={"color": colour, "symbol": symbol, "size": 9}, hovertemplate="seed %{customdata}: %{y:.4f}",
        )
        for (name, rows), colour, symbol in zip(runs.groupby("algorithm", sort=False), COLOURS, SYMBOLS)
    ]  # fmt: skip
    figure = go.Figure(data=traces, layout=figure_layout("", "share of the best hypervolume known"))
    figure._config = CONFIG
    return figure
