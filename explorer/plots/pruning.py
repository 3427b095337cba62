"""Data and plots of a pruned family: what remains after each round of the search, and in each cell of a network.

The granularities are operations, filters and weights.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from explorer.core.files import read_json
from explorer.plots.front import figure_layout
from explorer.plots.study_view import StudyView

GRANULARITIES = ("operation", "filter", "weight")


def pruning_rounds(family: StudyView) -> pd.DataFrame:
    """Read the rounds of the search.

    Returns:
        One row per round: round, stage, size (remaining share of the parameters) and the remaining share of operations,
        filters and weights.
    """
    rounds = read_json(family.folder / "pruning.json")["rounds"]
    return pd.DataFrame([{k: r[k] for k in ("round", "stage", "size")} | r["remaining"] for r in rounds])


def pruning_cells(family: StudyView) -> pd.DataFrame:
    """Read what remains in every cell of every network.

    Returns:
        One row per network and cell with the remaining share of operations, filters and weights; the shares of filters
        and weights refer to the operations that remain.
    """
    networks = read_json(family.folder / "pruning.json")["networks"]
    return pd.DataFrame([
        {"network": network["network"], "cell": cell} | {g: _share(left[g]) for g in GRANULARITIES}
        for network in networks for cell, left in network["cells"].items()
    ])  # fmt: skip


def _share(row: list[int]) -> float:
    return row[0] / row[1] if row[1] else 1.0


def rounds_figure(rounds: pd.DataFrame) -> go.Figure:
    """Plot the remaining share of each granularity, and the size, over the rounds."""
    figure = go.Figure(layout=figure_layout("round", "remaining share"))
    for name in ("size", *GRANULARITIES):
        line = {"dash": "dot", "color": "#666"} if name == "size" else {}
        figure.add_scatter(x=rounds["round"], y=rounds[name], name=name, mode="lines+markers", line=line)
    for start in rounds.groupby("stage")["round"].min().iloc[1:]:
        figure.add_vline(x=start - 0.5, line_dash="dash", line_color="#bbb")
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    return figure


def cells_figure(cells: pd.DataFrame, network: str) -> go.Figure:
    """Plot the remaining share of each granularity in every cell of one network, as bars."""
    rows = cells[cells["network"] == network]
    figure = go.Figure(layout=figure_layout("cell", f"remaining share in the network of {network}"))
    for name in GRANULARITIES:
        figure.add_bar(x=rows["cell"], y=rows[name], name=name)
    figure.update_layout(barmode="group")
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    return figure
