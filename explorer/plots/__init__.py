"""Plots: functions that collect plain data, and functions that turn it into Plotly figures or SVG."""

from explorer.plots.architecture import architecture_svg, describe
from explorer.plots.devices import agreement_figure, costs_figure, rank_table, verdict
from explorer.plots.front import CONFIG, FrontInfo, front_figure, front_info
from explorer.plots.ladder import ladder_figure
from explorer.plots.pruning import cells_figure, pruning_cells, pruning_rounds, rounds_figure
from explorer.plots.ranking import rank_figure
from explorer.plots.search import front_lines, hypervolume_bars

__all__ = [
    "CONFIG", "FrontInfo", "agreement_figure", "architecture_svg", "cells_figure", "costs_figure", "describe",
    "front_figure", "front_info", "front_lines", "hypervolume_bars", "ladder_figure", "pruning_cells", "pruning_rounds",
    "rank_figure", "rank_table", "rounds_figure", "verdict",
]  # fmt: skip
