"""Plot of accuracy scores by cost and quality: seconds per network against rank correlation with the true accuracy."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from explorer.plots.front import figure_layout

CHEAPEST = 1e-3  # seconds: position of scores that take no time, such as counts, on the log axis


def ladder_figure(table: pd.DataFrame, title: str = "") -> go.Figure:
    """Plot each score's Kendall's tau with the true accuracy against its seconds per network.

    There are two points per score: tau over all networks, with its interval, and the mean tau within terciles of cost.

    Args:
        table: the result of `evaluators.ladder`.
        title: figure title, such as the name of the space.
    """
    figure = go.Figure(layout=figure_layout("seconds a network", "Kendall's tau with accuracy"))
    seconds = table["seconds"].clip(lower=CHEAPEST)
    figure.add_scatter(
        x=seconds, y=table["tau"], mode="markers", name="all networks", marker={"size": 10}, text=table.index,
        error_y={"type": "data", "array": table["hi"] - table["tau"], "arrayminus": table["tau"] - table["lo"],
                 "thickness": 1, "width": 3},
        hovertemplate="%{text}<br>%{x:.2f} s a network<br>tau %{y:.2f}<extra></extra>",
    )  # fmt: skip
    figure.add_scatter(
        x=seconds, y=table["inside"], mode="markers", name="within terciles of cost", text=table.index,
        marker={"size": 9, "symbol": "diamond-open"},
        hovertemplate="%{text}, within terciles of cost<br>tau %{y:.2f}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(type="log")
    figure.update_layout(title=title)
    return figure
