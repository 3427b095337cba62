"""The dashboard page as one widget, the same in JupyterLab and in Voila."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

import ipywidgets as w

from explorer.core.errors import InputError, unknown
from explorer.core.files import is_file
from explorer.devices import LayerDevice
from explorer.devices.quantities import FP32, INT8, words_of
from explorer.plots.front import THEME
from explorer.study import Study, open_study, study_names
from explorer.widgets.budget_panel import BudgetPanel
from explorer.widgets.connection import Connection
from explorer.widgets.front_view import FrontView
from explorer.widgets.gallery import Gallery
from explorer.widgets.guarded import alert, guarded
from explorer.widgets.network_card import NetworkCard
from explorer.widgets.own_device import OwnDevice
from explorer.widgets.own_images import OwnImages, data_root
from explorer.widgets.panels import PANELS
from explorer.widgets.sentences import summary
from explorer.widgets.state import DashboardState
from explorer.widgets.studies_panel import StudiesPanel
from explorer.widgets.tabs import Tabs
from explorer.widgets.training_view import TrainingView, may_watch

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"


class Dashboard(w.VBox):
    """The whole page: budgets on the left, the chart in the middle, the network on the right, everything else in tabs.

    Args:
        study: an open study, its name or its folder.
        query: the query string of a saved link, as given by `state.query`.
    """

    def __init__(self, study: str | Path | Study, query: str = "") -> None:
        self.message = w.HTML()
        self.title = w.HTML()
        self.studies = w.Dropdown(description="study", layout={"width": "300px", "max_width": "100%"})
        self.studies.observe(guarded(self._say)(lambda change: self._chosen(change["new"])), "value")
        self.precision = w.ToggleButtons(
            options=[("float32", FP32), ("eight bits", INT8)], layout={"width": "auto"}, style={"button_width": "90px"},
            tooltips=["Accuracy and costs in float32", "Accuracy, latency, memory and flash of the network in int8"],
        )  # fmt: skip
        self.precision.observe(guarded(self._say)(lambda change: self._in_precision(change["new"])), "value")
        self.undo = _icon("undo", "Undo the last change")
        self.redo = _icon("repeat", "Redo what was undone")
        self.undo.on_click(guarded(self._say)(lambda _: self.state.undo()))
        self.redo.on_click(guarded(self._say)(lambda _: self.state.redo()))
        self.own = StudiesPanel(self._say, self._studies_changed)
        self.images = OwnImages(self._say, self._watch) if data_root() else None
        self.device = OwnDevice(lambda: self.state.study, self.add_device)
        self.link = w.HTML()
        self.body = w.VBox([])
        self._quiet = False
        self.connection = Connection()
        head = w.HBox([self.title, self.studies, self.precision, self.undo, self.redo, self.link])
        head.layout.flex_flow = "row wrap"
        head.add_class("explorer-head")
        super().__init__([w.HTML(STYLE), head, self.message, self.body, self.connection])
        self.add_class("pareto-explorer")
        if os.environ.get(THEME) == "dark":
            self.add_class("dark")
        self.show_study(study, query)

    def show_study(self, study: str | Path | Study, query: str = "") -> None:
        """Show another study; its views replace those of the current one.

        Raises:
            InputError: the study cannot be opened; the page keeps the current one.
        """
        opened, trouble = open_study(study), ""
        try:
            opened = opened.in_precision(parse_qs(query).get("precision", [opened.precision])[0])
        except InputError as error:
            trouble = f"The link could not be followed: {error}"
        state = DashboardState(opened)
        try:
            state.restore(query)  # before any view exists: Voila misses changes to a figure that is not shown yet
        except InputError as error:
            trouble = f"The link could not be followed: {error}"
        self.state = state
        self.front = FrontView(state, self._say)  # observes first, so that the browser gets the chart first
        self.budgets, self.status = BudgetPanel(state, self._say), w.HTML()
        self.network, self.gallery = NetworkCard(state, self._say), Gallery(state, self._say)
        self.tabs = Tabs(self._panels(), self._say)
        self.tabs.add_class("explorer-tabs")
        self.body.children = self._layout()
        self.refresh_studies()
        state.observe(self._refresh)
        self._refresh()
        if trouble:
            self._say(trouble)

    def add_device(self, device: LayerDevice) -> None:
        """Show the same study with one more slider, at the knee of the new device, which the chart shows.

        Raises:
            InputError: the study has a device of this name, or the device has no costs for its networks.
        """
        wider = self.state.study.with_device(device)
        at = urlencode({"chart": device.name, f"budget-{device.name}": wider.knee(device.name)})
        self.show_study(wider, f"{at}&generator={self.state.generator}")

    def refresh_studies(self) -> None:
        """List all studies and select the open one; it is added if the list lacks it."""
        shown = self.state.study
        options = [(name, name) for name in study_names()]
        here = next((name for _, name in options if name == shown.name), None)
        if here is None or open_folder(here) != str(shown.folder):
            here = str(shown.folder)
            options.insert(0, (f"{shown.name} ({shown.folder})", here))
        self._quiet = True
        self.studies.options, self.studies.value = options, here
        self.precision.layout.display = "" if INT8 in shown.precisions else "none"
        self.precision.value = shown.precision
        self._quiet = False

    def _studies_changed(self, name: str) -> None:
        """Update the list; if the open study was renamed or deleted, show its new name or a shipped study."""
        if is_file(self.state.study.folder / "study.json"):
            self.refresh_studies()
        else:
            self.show_study(name or shipped())

    def _chosen(self, name: str | None) -> None:
        if name and not self._quiet:
            self.show_study(name)

    def _in_precision(self, precision: str) -> None:
        """Show the same study in a precision, with its generator."""
        if not self._quiet and precision != self.state.study.precision:
            self.show_study(self.state.study.in_precision(precision), urlencode({"generator": self.state.generator}))

    def _panels(self) -> dict[str, tuple[str, Callable[[], w.Widget]]]:
        """All tabs: name -> (title, function that makes the panel)."""
        state, say = self.state, self._say
        made: dict[str, tuple[str, Callable[[], w.Widget]]] = {}
        made |= {name: (panel.title, partial(panel.make, state, say)) for name, panel in PANELS.items()}
        made["device"] = ("Another device", lambda: self.device.refreshed())
        if (images := self.images) is not None:
            made["own images"] = ("Your own images", lambda: images)
        if may_watch():
            made["training"] = ("Training", lambda: TrainingView(say, self.show_study))
        made["studies"] = ("My studies", lambda: self.own)
        return made

    def _watch(self, folder: str) -> None:
        """Show the training that was just started in a folder."""
        self.tabs.show("training")
        self.panel("training").follow(folder)

    def panel(self, name: str) -> Any:
        """The panel of a tab, such as "compare" or "export"."""
        return self.tabs.panel(name)

    def _layout(self) -> list[w.Widget]:
        study = self.state.study
        bounded = words_of(study.devices[name] for name in study.main_targets).replace(" and ", " or ")
        self.title.value = (
            f"<h2>Pareto Explorer: {escape(study.manifest.title)}</h2>"
            f"<p class='soft'>Drag a {bounded} budget: the star is the network generated for it.</p>"
            + _warning(study.predictor.warning)
        )
        side = w.VBox([self.budgets, self.status])
        side.add_class("explorer-side")
        main = w.Box([side, self.front, self.network])
        main.add_class("explorer-main")
        return [main, self.gallery, self.tabs]

    def _refresh(self) -> None:
        state = self.state
        self.message.value = ""
        missed = "" if state.candidate.feasible else ' class="missed"'
        said = f'<div role="status" aria-live="polite"{missed}>{escape(summary(state))}</div>'
        self.status.value = f'<div class="explorer-status">{said}</div>'
        self.undo.disabled, self.redo.disabled = not state.undoable, not state.redoable
        self.connection.query = self.state.query
        self.link.value = f'<a class="state-link" href="?{escape(self.state.query)}">Link to this view</a>'

    def _say(self, text: str, details: str = "") -> None:
        self.message.value = alert(text, details)


def _warning(text: str) -> str:
    """A line of the page that warns; "" without a text."""
    return f'<p role="note" style="margin:4px 0;font-weight:600">⚠ {escape(text)}</p>' if text else ""


def open_folder(name: str) -> str:
    """The folder of the study with this name; "" without such a study."""
    from explorer.study import find_study

    try:
        return str(find_study(name))
    except InputError:
        return ""


def _icon(name: str, text: str) -> w.Button:
    """A small button with a drawing; its text is for screen readers and on hovering."""
    return w.Button(description=text.split()[0], icon=name, tooltip=text, layout={"width": "auto"})


def study_of_page(query: str = "") -> str:
    """The study to show first: `?study=` in the page's address, else `$EXPLORER_STUDY`, else a shipped study.

    The address can only name studies from the list, so that visitors cannot open folders of their choice.
    """
    configured, asked = os.environ.get("EXPLORER_STUDY"), parse_qs(query).get("study")
    if configured and asked and asked[0] == open_study(configured).name:  # links made by the page use its name
        return configured
    if asked and asked[0] not in (configured, *(known := study_names())):
        raise unknown("study", asked[0], known)
    if asked:
        return asked[0]
    return configured or shipped()


def shipped() -> str:
    """The study that the page shows if none is named."""
    known = study_names()
    return next((name for name in ("clothing", "fashion-mnist") if name in known), "digits")


_opened: dict[str, Study] = {}
_heated: dict[str, Dashboard] = {}


def open_ahead() -> None:
    """Open the study that the page shows first, and build its page once, for all kernels that are forks of this one.

    The page is thrown away: its widgets talk to no browser. What was imported, read and compiled for it stays.
    """
    study = study_of_page()
    _opened[study] = open_study(study)
    Dashboard(_opened[study]).panel("targets")
    w.Widget.close_all()


def heat() -> None:
    """In a preheated kernel, build the first dashboard before a visitor requests the page."""
    if os.environ.get("VOILA_PREHEAT") == "True":
        study = study_of_page()
        _heated[study] = Dashboard(_opened.get(study, study))


def page() -> w.Widget:
    """The widget that the page's notebook shows: the dashboard, or a one-line error if the study cannot be opened."""
    query = _query()
    try:
        study = study_of_page(query)
        if study in _heated and set(parse_qs(query)) <= {"study"}:
            return _heated.pop(study)
        return Dashboard(_opened.get(study, study), query)
    except InputError as error:
        return w.HTML(f'<div role="alert">{escape(str(error))}</div>')


def _query() -> str:
    """The query string of the page's address; a preheated kernel waits here for the request."""
    if os.environ.get("VOILA_PREHEAT") == "True":
        from voila.utils import wait_for_request

        wait_for_request()
    return os.environ.get("QUERY_STRING", "")
