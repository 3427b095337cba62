"""The live Pareto chart: one FigureWidget, built once and then only updated; charts of all targets on demand."""

from __future__ import annotations

from typing import Any

import ipywidgets as w
import plotly.graph_objects as go

from explorer.plots.front import (
    CONFIG,
    TRACES,
    Marks,
    axis_title,
    front_figure,
    front_info,
    front_points,
    fronts_figure,
    marked,
)
from explorer.widgets.fitted import Fitted
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.state import DashboardState

CLICKED = ("evaluated", "front", "searched", "generated front")


class FrontView(w.VBox):
    """Chart of one device, small charts of all targets, and controls for how they are drawn.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state, self._guard = state, guarded(say)
        self._fronts: dict[tuple[str, str], Any] = {}
        self.info = front_info(state.study, state.chart)
        self._log = state.log
        self.figure = self._widget(front_figure(self.info, self._marks(state.chart), state.log))
        self.device = w.Dropdown(
            options=list(state.study.devices), value=state.chart, description="chart of", layout={"width": "200px"}
        )
        self.log_scale = _check("log scale", state.log)
        self.searched = _check("searched front", "searched" in state.shown)
        self.generated = _check("generated front", "generated front" in state.shown)
        self.every = _check("all targets", state.every)
        self.release = w.Button(description="Back to generated", layout={"width": "150px", "display": "none"})
        self.small = w.VBox([])
        on = self._guard
        self.device.observe(on(lambda change: state.show(change["new"])), "value")
        self.log_scale.observe(on(lambda change: state.look(log=change["new"])), "value")
        self.every.observe(on(lambda change: state.look(every=change["new"])), "value")
        self.searched.observe(on(lambda change: state.toggle("searched", change["new"])), "value")
        self.generated.observe(on(lambda change: state.toggle("generated front", change["new"])), "value")
        self.release.on_click(on(lambda _: state.release()))
        state.observe(self.refresh)
        controls = w.HBox(
            [self.device, self.log_scale, self.searched, self.generated, self.every, self.release],
            layout={"flex_flow": "row wrap"},
        )
        super().__init__([controls, Fitted(), self.figure, self.small], layout={"width": "100%"})
        self.refresh()

    def _widget(self, figure: go.Figure) -> go.FigureWidget:
        """A clickable figure, built with all its traces, since traces added later do not reach a Voila page."""
        widget = go.FigureWidget(figure)
        widget._config = CONFIG
        for trace in widget.data:
            if trace.name in CLICKED:
                trace.on_click(self._guard(self._clicked))
        return widget

    def _clicked(self, trace: Any, points: Any, _: Any) -> None:
        if points.point_inds:
            self.state.pick(str(trace.text[points.point_inds[0]]))

    def _marks(self, device: str) -> Marks:
        state = self.state
        seen = [state.candidate, state.generated, *state.pins]
        known = {c.key: accuracy for c in seen if (accuracy := state.accuracy_of(c.key)) is not None}
        front = None
        if "generated front" in state.shown:
            key = (device, state.generator)
            if key not in self._fronts:
                self._fronts[key] = front_points(state.study.generated_front(*key))
            front = self._fronts[key]
        return Marks(
            state.generated, state.budget, state.picked, tuple(state.pins), known, front, "searched" in state.shown
        )

    def refresh(self) -> None:
        """Update the moving traces; replace the point cloud only if the chart shows another device."""
        state, figure = self.state, self.figure
        with figure.batch_update():
            if state.chart != self.info.device:
                self.info = info = front_info(state.study, state.chart)
                whole = front_figure(info, self._marks(state.chart), state.log)
                for old, new in zip(figure.data, whole.data):
                    if old.name in ("evaluated", "front", "searched"):
                        old.update(x=new.x, y=new.y, text=new.text, customdata=new.customdata)
                        old.hovertemplate = new.hovertemplate
                figure.layout.xaxis.title.text = axis_title(info)
            if state.log != self._log:
                self._log = state.log
                figure.layout.xaxis.type = "log" if state.log else "linear"
            _update(figure.data, marked(self.info, self._marks(state.chart)))
        self._small()
        self._show_controls()

    def _small(self) -> None:
        """The charts of all targets: built when first requested, then updated with the state."""
        state, targets = self.state, self.state.targets
        if not state.every:
            self.small.children = ()
            return
        marks = [self._marks(target) for target in targets]
        if not self.small.children:
            self._infos = [front_info(state.study, target) for target in targets]
            self.small.children = (self._widget(fronts_figure(self._infos, marks, state.log)),)
            return
        figure: Any = self.small.children[0]
        with figure.batch_update():
            for i, (info, moving) in enumerate(zip(self._infos, marks)):
                _update(figure.data[i * len(TRACES) : (i + 1) * len(TRACES)], marked(info, moving))
                axis = figure.layout["xaxis" if i == 0 else f"xaxis{i + 1}"]
                axis.type = "log" if state.log else "linear"

    def _show_controls(self) -> None:
        state = self.state
        self.device.value, self.log_scale.value, self.every.value = state.chart, state.log, state.every
        self.searched.value = "searched" in state.shown
        self.generated.value = "generated front" in state.shown
        self.release.layout.display = "" if state.picked else "none"


def _update(traces: Any, moving: dict[str, dict[str, Any]]) -> None:
    """Set only values that differ: an equal value would still send a message to the browser."""
    for trace in traces:
        for name, value in moving.get(trace.name, {}).items():
            if _differs(trace[name], value):
                trace[name] = value


def _differs(old: Any, new: Any) -> bool:
    if isinstance(new, dict):
        return any(_differs(old[k], v) for k, v in new.items())
    if hasattr(new, "__len__") and not isinstance(new, str):
        return old is None or len(old) != len(new) or any(a is not b and not _same(a, b) for a, b in zip(old, new))
    return bool(old != new)


def _same(a: Any, b: Any) -> bool:
    return bool((a == b).all()) if hasattr(a, "all") else bool(a == b)


def _check(text: str, value: bool) -> w.Checkbox:
    return w.Checkbox(value=value, description=text, indent=False, layout={"width": "140px"})
