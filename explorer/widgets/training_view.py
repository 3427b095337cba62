"""The trainings of this machine, live: loss, time left, and the front as it fills. Closing the page stops none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from html import escape

import ipywidgets as w
import numpy as np
import plotly.graph_objects as go

from explorer.plots.front import CONFIG
from explorer.plots.training import training_figures, training_traces
from explorer.study.journal import STARTING, Training, trainings
from explorer.study.launch import deletes, go_on, remove, stop
from explorer.study.so_far import so_far
from explorer.widgets.fitted import Fitted
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.ticker import Ticker

NONE = (
    "No training yet. Start one under <b>Your own images</b>, or with <code>explorer train</code> in a terminal: "
    "it is shown here while it runs, and goes on when you close the page."
)
SURE = "Yes, delete it"
WATCH = "EXPLORER_TRAININGS"  # set on a page that only this machine can open, or that may read images


def may_watch() -> bool:
    """Whether this page shows the machine's trainings: always in a notebook, and on pages that are not public."""
    return bool(os.environ.get(WATCH)) or not os.environ.get("EXPLORER_PAGE")


class TrainingView(w.VBox):
    """One training at a time, with buttons to stop it, let it go on, remove it, and open the finished study.

    Args:
        say: shows a message on the page.
        opened: called with the folder of a finished study.
    """

    def __init__(self, say: Say, opened: Callable[[str], None]) -> None:
        self.opened, on = opened, guarded(say)
        self.training: Training | None = None
        self._quiet, self._shown = False, ""
        self._drawn: tuple = ()
        self.chosen = w.Dropdown(description="training", layout={"width": "340px", "max_width": "100%"})
        self.bar = w.FloatProgress(min=0, max=1, layout={"width": "100%"})
        self.bar.tooltip = "share of the present part that is done"
        self.said, self.parts = w.HTML(), w.HTML()
        self.stop = w.Button(description="Stop", tooltip="What is done stays, and can go on later")
        self.go_on = w.Button(description="Go on", button_style="primary")
        self.remove = w.Button(
            description="Remove",
            tooltip="Forget this training; an unfinished study that was started on the page is deleted",
        )
        self.finished = w.Button(description="Open the study", button_style="primary")
        self.stop.on_click(on(lambda _: self._act(stop)))
        self.go_on.on_click(on(lambda _: self._act(go_on)))
        self.remove.on_click(on(lambda _: self._remove()))
        self.finished.on_click(on(lambda _: self._open()))
        self.chosen.observe(on(lambda change: self._choose(change["new"])), "value")
        self.figures: list[go.FigureWidget] = []
        self.plot = w.Box([])
        self.plot.add_class("explorer-training-charts")
        self.ticker = Ticker(on(self.refresh))
        row = [self.stop, self.go_on, self.remove, self.finished]
        self.buttons = w.HBox(row, layout={"flex_flow": "row wrap"})
        super().__init__([self.ticker, self.chosen, self.said, self.bar, self.buttons, self.plot, self.parts])
        self.add_class("explorer-training")
        self.refresh()

    def refresh(self) -> None:
        """Read the journals again, and show the chosen training, by default the newest."""
        found = {training.folder: training for training in trainings()}
        options = [(f"{t.name} ({_state(t)})", t.folder) for t in found.values()]
        if tuple(options) != self.chosen.options:
            kept = self.chosen.value if self.chosen.value in found else next(iter(found), None)
            self._quiet = True
            self.chosen.options = options
            self.chosen.value = kept
            self._quiet = False
        self.training = found.get(self.chosen.value or "")
        self._show()

    def follow(self, folder: str) -> None:
        """Show the training in this folder."""
        self.refresh()
        if folder in [value for _, value in self.chosen.options]:
            self.chosen.value = folder

    def _choose(self, folder: str | None) -> None:
        if folder and not self._quiet:
            self.refresh()

    def _act(self, act: Callable[[Training], object]) -> None:
        if self.training is not None:
            act(self.training)
            self.refresh()

    def _remove(self) -> None:
        """Forget the training; where that deletes an unfinished study, only a second click does it."""
        if self.training is not None and deletes(self.training) and self.remove.description != SURE:
            self.remove.description = SURE
            return
        self._act(remove)

    def _open(self) -> None:
        if self.training is not None:
            self.opened(self.training.folder)

    def _show(self) -> None:
        training = self.training
        running = training is not None and training.running
        self.ticker.seconds = 2.0 if running else 10.0
        self.chosen.layout.display = "" if len(self.chosen.options) > 1 else "none"
        if training is None or training.folder != self._shown:
            self.remove.description = "Remove"
        self._shown = "" if training is None else training.folder
        for button, shown in (
            (self.stop, running), (self.finished, training is not None and training.finished and not running),
            (self.go_on, training is not None and not running and not training.finished),
            (self.remove, training is not None and not running),
        ):  # fmt: skip
            button.layout.display = "" if shown else "none"
        self.bar.layout.display = "" if running else "none"
        self.plot.layout.display = "" if training is not None else "none"
        said = NONE if training is None else escape(sentence(training))
        self.said.value = f'<div role="status" aria-live="polite">{said}</div>'
        self.parts.value = "" if training is None else _parts(training)
        if training is not None:
            self.bar.value = training.done / training.total if training.total else 0.0
            self._draw(training)

    def _draw(self, training: Training) -> None:
        """Update the charts where something has changed; they are made when there is something to show."""
        now_there = (training.folder, training.updated, training.finished)
        if now_there == self._drawn:
            return
        self._drawn = now_there
        if not self.figures:
            self.figures = [go.FigureWidget(figure) for figure in training_figures()]
            for figure in self.figures:
                figure._config = CONFIG
            self.plot.children = [w.VBox([Fitted(), f]) for f in self.figures]
        found, none = so_far(training), np.zeros(0)
        now = (none, none, none.astype(int)) if found is None else (found.cost, found.accuracy, found.front)
        traces, (loss, networks) = training_traces(training.losses, *now), self.figures
        for figure in self.figures:
            with figure.batch_update():
                for trace in figure.data:
                    for name, values in traces[trace.name].items():
                        if not np.array_equal(values, none if trace[name] is None else trace[name]):
                            trace[name] = values
        loss.layout.xaxis.range = [0, max(training.steps, 1)]
        networks.layout.yaxis.title.text = f"accuracy{'' if found is None else f', {found.source}'} [%]"
        networks.layout.xaxis.title.text = "cost" if found is None else f"{found.device} [{found.unit}]"


def _state(training: Training) -> str:
    if training.running:
        return "running"
    return "finished" if training.finished else "stopped"


def sentence(training: Training) -> str:
    """Say in a sentence what a training does or did."""
    spent = in_time(sum(seconds for _, seconds in training.parts))
    if training.running:
        if training.what == STARTING:
            return f"{training.name}: starting."
        at = f", {training.done:,} of {training.total:,}" if training.total else ""
        left = "" if training.left is None else f"; about {in_time(training.left)} left for this part (estimated)"
        return f"{training.name}: {training.what}{at}{left}. Running for {in_time(time.time() - training.begun)}."
    if training.finished:
        return f"{training.name} is finished, after {spent} of work."
    why = training.error if training.error not in ("", "stopped") else "it was stopped"
    return f"{training.name} did not finish: {why.rstrip('.')}. It had worked for {spent}."


def _parts(training: Training) -> str:
    if not training.parts:
        return ""
    done = ", ".join(f"{escape(what)} {in_time(seconds)}" for what, seconds in training.parts)
    return f"<small>Done: {done}.</small>"


def in_time(seconds: float) -> str:
    """Write a duration.

    >>> in_time(42), in_time(200), in_time(9000)
    ('42 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
