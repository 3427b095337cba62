"""A training while it runs: its loss, and the networks that it has evaluated so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from explorer.plots.front import BLUE, CONFIG, GREY, ORANGE, figure_layout


def training_figure() -> go.Figure:
    """Build the two empty charts side by side; `training_traces` fills them."""
    figure = make_subplots(1, 2, horizontal_spacing=0.09, column_widths=[0.42, 0.58])
    figure.add_trace(go.Scatter(name="loss", mode="lines", line={"color": BLUE}), row=1, col=1)
    figure.add_trace(go.Scatter(name="evaluated", mode="markers", marker={"color": GREY, "size": 5}), row=1, col=2)
    front = {"color": ORANGE, "shape": "hv"}
    figure.add_trace(go.Scatter(name="front so far", mode="lines+markers", line=front), row=1, col=2)
    shared = figure_layout("", "")
    figure.update_layout(template=shared.template, height=300, margin={"l": 60, "r": 16, "t": 34, "b": 50})
    figure.update_layout(legend=shared.legend, uirevision="keep")
    figure.update_xaxes(title="training step", rangemode="tozero", row=1, col=1)
    figure.update_yaxes(title="loss", row=1, col=1)
    figure.update_yaxes(title="accuracy [%]", row=1, col=2)
    figure._config = CONFIG
    return figure


def training_traces(
    losses: Sequence[tuple[float, float]], cost: np.ndarray, accuracy: np.ndarray, front: np.ndarray
) -> dict[str, dict[str, Any]]:
    """Return x and y of every trace by its name.

    Args:
        losses: (step, loss) pairs.
        cost: (n,) cost of the evaluated networks.
        accuracy: (n,) their accuracy in [0, 1].
        front: rows of the networks that no other one beats.
    """
    steps, values = np.array(losses, float).reshape(-1, 2).T
    return {
        "loss": {"x": steps, "y": values},
        "evaluated": {"x": cost, "y": 100 * accuracy},
        "front so far": {"x": cost[front], "y": 100 * accuracy[front]},
    }
