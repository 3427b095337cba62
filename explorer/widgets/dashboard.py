"""The page as one widget, the same in Lab and in Voila."""

from __future__ import annotations

import os
from html import escape
from typing import Any
from urllib.parse import parse_qs

import ipywidgets as w

from explorer.errors import InputError
from explorer.study import open_study, study_names
from explorer.widgets.architecture_view import ArchitectureView
from explorer.widgets.budget_panel import BudgetPanel
from explorer.widgets.export_panel import ExportPanel
from explorer.widgets.front_view import FrontView
from explorer.widgets.state import DashboardState


class Dashboard(w.VBox):
    """Sliders, chart, architecture, costs, export.

    Args:
        study: an open study, its name or its folder.
    """

    def __init__(self, study: Any) -> None:
        self.state = DashboardState(open_study(study))
        self.status = w.HTML()
        self.message = w.HTML()
        self.budgets = BudgetPanel(self.state, self._say)
        self.front = FrontView(self.state, self._say)
        self.architecture = ArchitectureView(self.state)
        self.export = ExportPanel(self.state)
        self.state.observe(self._refresh)
        manifest = self.state.study.manifest
        title = w.HTML(
            f"<h2 style='margin:0'>Pareto Explorer: {escape(manifest.title)}</h2>"
            f"<p style='margin:0'>Drag a latency budget: the star is the network generated for it. "
            f"{cloud(self.state.study)}; the star's accuracy is predicted, its bar is the error band; the dotted "
            f"line is the front that a search predicts.</p>"
        )
        left = w.VBox([self.budgets, self.status, self.message], layout={"width": "340px", "flex": "0 0 340px"})
        right = w.VBox([self.front], layout={"flex": "1 1 480px", "min_width": "420px"})
        top = w.HBox([left, right], layout={"flex_flow": "row wrap", "width": "100%"})
        super().__init__([title, top, self.architecture, self.export])
        self.add_class("pareto-explorer")
        self._refresh()

    def _refresh(self) -> None:
        self.message.value = ""
        self.status.value = f'<div role="status" aria-live="polite">{escape(self.state.summary())}</div>'

    def _say(self, text: str) -> None:
        self.message.value = f'<div role="alert">{escape(text)}</div>'


def cloud(study: Any) -> str:
    """What the points of the chart are."""
    n = f"{len(study.scored.codes):,}"
    if study.has_weights:
        return f"{n} networks were measured with inherited weights on validation images"
    return f"The {n} points are predictions too, by a predictor of {study.manifest.data.val:,} published accuracies"


def study_of_page() -> str:
    """The study that a notebook opens on: `?study=` of the page's address, `$EXPLORER_STUDY`, else a shipped one."""
    asked = parse_qs(os.environ.get("QUERY_STRING", "")).get("study")
    if asked:
        return asked[0]
    return os.environ.get("EXPLORER_STUDY") or ("fashion-mnist" if "fashion-mnist" in study_names() else "digits")


def page() -> w.Widget:
    """What the page's notebook shows: the dashboard, or one plain line where the study cannot be opened."""
    try:
        return Dashboard(study_of_page())
    except InputError as error:
        return w.HTML(f'<div role="alert">{escape(str(error))}</div>')
