"""Pictures of a pruned family: what is left over the rounds, and what went from every cell. Plain data first."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from explorer.core.files import read_json
from explorer.plots.front import figure_layout
from explorer.plots.study_view import StudyView

GRANULARITIES = ("operation", "filter", "weight")


def pruning_rounds(family: StudyView) -> pd.DataFrame:
    """A row per round: round, stage, size (share of the parameters) and what is left of every granularity."""
    rounds = read_json(family.folder / "pruning.json")["rounds"]
    return pd.DataFrame([{k: r[k] for k in ("round", "stage", "size")} | r["remaining"] for r in rounds])


def pruning_cells(family: StudyView) -> pd.DataFrame:
    """A row per network and cell: the share of every granularity that is left there (of filters and weights, in what
    still runs)."""
    networks = read_json(family.folder / "pruning.json")["networks"]
    return pd.DataFrame([
        {"network": network["network"], "cell": cell} | {g: _share(left[g]) for g in GRANULARITIES}
        for network in networks for cell, left in network["cells"].items()
    ])  # fmt: skip


def _share(row: list[int]) -> float:
    return row[0] / row[1] if row[1] else 1.0


def rounds_figure(rounds: pd.DataFrame) -> go.Figure:
    """One line per granularity over the rounds, and the size."""
    figure = go.Figure(layout=figure_layout("round", "share that is left"))
    for name in ("size", *GRANULARITIES):
        line = {"dash": "dot", "color": "#666"} if name == "size" else {}
        figure.add_scatter(x=rounds["round"], y=rounds[name], name=name, mode="lines+markers", line=line)
    for start in rounds.groupby("stage")["round"].min().iloc[1:]:
        figure.add_vline(x=start - 0.5, line_dash="dash", line_color="#bbb")
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    return figure


def cells_figure(cells: pd.DataFrame, network: str) -> go.Figure:
    """Bars for one network: what is left of every granularity, cell by cell."""
    rows = cells[cells["network"] == network]
    figure = go.Figure(layout=figure_layout("cell", f"share that is left in the network of {network}"))
    for name in GRANULARITIES:
        figure.add_bar(x=rows["cell"], y=rows[name], name=name)
    figure.update_layout(barmode="group")
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    return figure
