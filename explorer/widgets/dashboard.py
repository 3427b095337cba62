"""The page as one widget, the same in Lab and in Voila."""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import ipywidgets as w

from explorer.core.errors import InputError, unknown
from explorer.core.files import is_file
from explorer.devices.quantities import words_of
from explorer.study import Study, open_study, study_names
from explorer.widgets.budget_panel import BudgetPanel
from explorer.widgets.front_view import FrontView
from explorer.widgets.guarded import guarded
from explorer.widgets.own_images import OwnImages, data_root
from explorer.widgets.panels import PANELS
from explorer.widgets.state import DashboardState
from explorer.widgets.studies_panel import StudiesPanel

STYLE = (
    "<style>.pareto-explorer h2,.pareto-explorer h3{margin:4px 0}.pareto-explorer :focus-visible"
    "{outline:3px solid #0072B2;outline-offset:2px}.pareto-explorer .jupyter-widget-Collapse-header"
    "{color:var(--jp-ui-font-color1)}</style>"
)


class Dashboard(w.VBox):
    """Studies, sliders, chart, architecture, comparison, measuring, export.

    Args:
        study: an open study, its name or its folder.
        query: a link's query string, which `state.query` gave.
    """

    def __init__(self, study: str | Path | Study, query: str = "") -> None:
        self.message = w.HTML()
        self.studies = w.Dropdown(description="study", layout={"width": "340px"})
        self.studies.observe(guarded(self._say)(lambda change: self._chosen(change["new"])), "value")
        self.own = StudiesPanel(self._say, self._studies_changed)
        self.images = OwnImages(self._say, self.show_study) if data_root() else None
        self.body = w.VBox([])
        self._quiet = False
        more = [self.own.accordion(), *([self.images.accordion()] if self.images else [])]
        super().__init__([w.HTML(STYLE), w.HBox([self.studies]), self.message, self.body, *more])
        self.add_class("pareto-explorer")
        self.show_study(study, query)

    def show_study(self, study: str | Path | Study, query: str = "") -> None:
        """Show another study; the old one's views go.

        Raises:
            InputError: it cannot be opened; what is shown stays.
        """
        state, trouble = DashboardState(open_study(study)), ""
        try:
            state.restore(query)  # before any view: changes to a figure that is not shown yet do not reach Voila
        except InputError as error:
            trouble = f"The link could not be followed: {error}"
        self.state = state
        self.front = FrontView(state, self._say)  # observes first: what the eye follows is sent first
        self.budgets = BudgetPanel(state, self._say)
        self.panels: dict[str, Any] = {name: panel.make(state, self._say) for name, panel in PANELS.items()}
        self.architecture, self.compare = self.panels["architecture"], self.panels["compare"]
        self.measure, self.export = self.panels["measure"], self.panels["export"]
        self.status, self.link = w.HTML(), w.HTML()
        self.body.children = self._layout()
        self.refresh_studies()
        state.observe(self._refresh)
        self._refresh()
        if trouble:
            self._say(trouble)

    def refresh_studies(self) -> None:
        """Offer all studies; the open one is chosen even if it is in no list."""
        shown = self.state.study
        options = [(name, name) for name in study_names()]
        here = next((name for _, name in options if name == shown.name), None)
        if here is None or open_folder(here) != str(shown.folder):
            here = str(shown.folder)
            options.insert(0, (f"{shown.name} ({shown.folder})", here))
        self._quiet = True
        self.studies.options, self.studies.value = options, here
        self._quiet = False

    def _studies_changed(self, name: str) -> None:
        """Where the open study was renamed or deleted: show it under its new name, or a shipped one."""
        if is_file(self.state.study.folder / "study.json"):
            self.refresh_studies()
        else:
            self.show_study(name or shipped())

    def _chosen(self, name: str | None) -> None:
        if name and not self._quiet:
            self.show_study(name)

    def _layout(self) -> list[w.Widget]:
        study = self.state.study
        bounded = words_of(study.devices[name] for name in study.targets).replace(" and ", " or ")
        title = w.HTML(
            f"<h2>Pareto Explorer: {escape(study.manifest.title)}</h2>"
            f"<p style='margin:0'>Drag a {bounded} budget: the star is the network "
            f"generated for it. {cloud(study)}; the star's accuracy is {study.origin.generated}, its bar is the error "
            f"band{'; the dotted line is the front that a search predicts' * study.origin.searched}. "
            "Click a point to look at its network.</p>"
        )
        left = w.VBox([self.budgets, self.status], layout={"width": "340px", "flex": "0 0 340px"})
        right = w.VBox([self.front], layout={"flex": "1 1 480px", "min_width": "420px"})
        top = w.HBox([left, right], layout={"flex_flow": "row wrap", "width": "100%"})
        below: list[w.Widget] = []
        for name, panel in self.panels.items():
            heading = PANELS[name].title
            below += [*([w.HTML(f"<h3>{escape(heading)}</h3>")] if heading else []), panel]
        return [title, top, *below, self.link]

    def _refresh(self) -> None:
        self.message.value = ""
        self.status.value = f'<div role="status" aria-live="polite">{escape(self.state.summary())}</div>'
        self.link.value = f'<a class="state-link" href="?{escape(self.state.query)}">Link to this view</a>'

    def _say(self, text: str, details: str = "") -> None:
        more = f"<details><summary>Details to copy</summary><pre>{escape(details)}</pre></details>" if details else ""
        self.message.value = f'<div role="alert">{escape(text)}</div>{more}'


def open_folder(name: str) -> str:
    """The folder that a study's name stands for."""
    from explorer.study import find_study

    try:
        return str(find_study(name))
    except InputError:
        return ""


def cloud(study: Study) -> str:
    """What the points of the chart are."""
    return study.origin.cloud.format(n=len(study.scored.codes), rows=study.manifest.data.val)


def study_of_page(query: str = "") -> str:
    """The study that a notebook opens on: `?study=` of the page's address, `$EXPLORER_STUDY`, else a shipped one.

    An address names studies of the list only: visitors open no folder of their choice.
    """
    configured, asked = os.environ.get("EXPLORER_STUDY"), parse_qs(query).get("study")
    if configured and asked and asked[0] == open_study(configured).name:  # so the page's own links call it
        return configured
    if asked and asked[0] not in (configured, *(known := study_names())):
        raise unknown("study", asked[0], known)
    if asked:
        return asked[0]
    return configured or shipped()


def shipped() -> str:
    """The study that a page opens on where none is named."""
    return "fashion-mnist" if "fashion-mnist" in study_names() else "digits"


_heated: dict[str, Dashboard] = {}


def heat() -> None:
    """Build the page's first dashboard before anybody asks for the page, in a kernel that waits for its visitor."""
    if os.environ.get("VOILA_PREHEAT") == "True":
        study = study_of_page()
        _heated[study] = Dashboard(study)


def page() -> w.Widget:
    """What the page's notebook shows: the dashboard, or one plain line where the study cannot be opened."""
    query = _query()
    try:
        study = study_of_page(query)
        if study in _heated and set(parse_qs(query)) <= {"study"}:
            return _heated.pop(study)
        return Dashboard(study, query)
    except InputError as error:
        return w.HTML(f'<div role="alert">{escape(str(error))}</div>')


def _query() -> str:
    """The query string of the page's address; a preheated kernel waits until the page is asked for."""
    if os.environ.get("VOILA_PREHEAT") == "True":
        from voila.utils import wait_for_request

        wait_for_request()
    return os.environ.get("QUERY_STRING", "")
