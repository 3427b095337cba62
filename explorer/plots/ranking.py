"""Scatter plot of a score against known accuracies."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from explorer.core.front import kendall_tau
from explorer.plots.front import figure_layout


def rank_figure(score: np.ndarray, truth: np.ndarray, cost: np.ndarray, name: str, unit: str = "M MACs") -> go.Figure:
    """Plot a score against accuracy, one point per network coloured by cost; the title shows Kendall's tau.

    Args:
        score: (n,) scores, such as the accuracy with random weights.
        truth: (n,) known accuracy in [0, 1].
        cost: (n,) costs in `unit`.
        name: name of the score, for the x axis.
        unit: unit of the cost, for the colour bar.
    """
    figure = go.Figure(layout=figure_layout(name, "accuracy"))
    figure.add_scatter(
        x=score, y=truth, mode="markers", name="networks",
        marker={"color": cost, "colorscale": "Viridis", "colorbar": {"title": unit}, "size": 9},
        hovertemplate=f"{name} %{{x:.3f}}<br>accuracy %{{y:.2%}}<br>%{{marker.color:.3g}} {unit}<extra></extra>",
    )  # fmt: skip
    figure.update_layout(title=f"Kendall's tau {kendall_tau(score, truth):.2f}")
    figure.update_yaxes(tickformat=".1%")
    return figure
