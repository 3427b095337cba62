"""A training while it runs: its loss, and the networks that it has evaluated so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from explorer.plots.front import BLUE, CONFIG, GREY, ORANGE, figure_layout


def training_figures() -> tuple[go.Figure, go.Figure]:
    """Build two empty charts, of the loss and of the networks; `training_traces` fills them."""
    loss = go.Scatter(name="loss", mode="lines", line={"color": BLUE})
    evaluated = go.Scatter(name="evaluated", mode="markers", marker={"color": GREY, "size": 5})
    front = go.Scatter(name="front so far", mode="lines+markers", line={"color": ORANGE, "shape": "hv"})
    figures = (
        go.Figure([loss], figure_layout("training step", "loss")),
        go.Figure([evaluated, front], figure_layout("cost", "accuracy [%]")),
    )
    for figure in figures:
        figure.update_layout(
            height=300, margin={"b": 50}, xaxis_rangemode="tozero" if figure is figures[0] else "normal"
        )
        figure._config = CONFIG
    return figures


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
