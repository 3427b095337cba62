"""The live Pareto chart: one FigureWidget, built once and then only updated; charts of all targets on demand."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets as w
import plotly.graph_objects as go

from explorer.plots.axes import keys_of
from explorer.plots.front import (
    CONFIG,
    TRACES,
    Marks,
    Points,
    axis_title,
    front_figure,
    front_info,
    front_points,
    fronts_figure,
    marked,
)
from explorer.study import Study
from explorer.widgets.fitted import Fitted
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.sentences import in_words
from explorer.widgets.state import DashboardState

CLICKED = ("evaluated", "front", "searched", "generated front", "found", "pinned")


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
            options=list(state.study.devices),
            value=state.chart,
            description="chart of",
            layout={"width": "170px"},
            style={"description_width": "auto"},
        )
        self.log_scale = _check("log scale", state.log)
        self.searched = _check("searched front", "searched" in state.shown)
        self.generated = _check("generated front", "generated front" in state.shown)
        self.band = _check("error band", "band" in state.shown)
        self.every = _check("all targets", state.every)
        self.small = w.VBox([])
        on = self._guard
        self.device.observe(on(lambda change: state.show(change["new"])), "value")
        self.log_scale.observe(on(lambda change: state.look(log=change["new"])), "value")
        self.every.observe(on(lambda change: state.look(every=change["new"])), "value")
        self.searched.observe(on(lambda change: state.toggle("searched", change["new"])), "value")
        self.generated.observe(on(lambda change: state.toggle("generated front", change["new"])), "value")
        self.band.observe(on(lambda change: state.toggle("band", change["new"])), "value")
        state.observe(self.refresh)
        controls = w.HBox(
            [self.device, self.log_scale, self.searched, self.band, self.generated, self.every],
            layout={"flex_flow": "row wrap"},
        )
        self.caption = w.HTML(f'<p class="caption">{escape(caption(state.study))}</p>')
        controls.add_class("controls")
        self.small.add_class("small")
        plot = w.VBox([Fitted(), self.figure])  # has its height before the chart is drawn, so that nothing jumps
        plot.add_class("explorer-plot")
        super().__init__([controls, plot, self.small, self.caption])
        self.add_class("explorer-chart")
        self.refresh()

    def _widget(self, figure: go.Figure) -> go.FigureWidget:
        """A clickable figure, built with all its traces, since traces added later do not reach a Voila page."""
        figure.layout.height, figure.layout.autosize = None, True  # the page's style sheet says how high it is
        widget = go.FigureWidget(figure)
        widget._config = CONFIG
        for trace in widget.data:
            if trace.name in CLICKED:
                trace.on_click(self._guard(self._clicked))
        return widget

    def _clicked(self, trace: Any, points: Any, _: Any) -> None:
        if points.point_inds:
            at = points.point_inds[0]
            self.state.pick(self.state.pins[at].key if trace.name == "pinned" else str(trace.text[at]))

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
        searched = "searched" in state.shown
        return Marks(
            state.generated, state.budget, state.picked, tuple(state.pins), known, front, searched,
            searched and "band" in state.shown, self._found(device), state.hinted_candidate,
        )  # fmt: skip

    def _found(self, device: str) -> Points | None:
        """Networks within the ranges of the axes, where some are asked for."""
        state = self.state
        if not state.ranges:
            return None
        info, rows = state.axes_info, state.found
        cost = info.values[rows, info.names.index(device)]
        return Points(cost, info.accuracy[rows], keys_of(state.study.space, info.codes[rows]), cost[:, None])

    def refresh(self) -> None:
        """Update the moving traces; replace the point cloud only if the chart shows another device."""
        state, figure = self.state, self.figure
        with figure.batch_update():
            if state.chart != self.info.device:
                self.info = info = front_info(state.study, state.chart)
                whole = front_figure(info, self._marks(state.chart), state.log)
                for old, new in zip(figure.data, whole.data):
                    if old.name in ("band", "evaluated", "front", "searched"):
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
        self.band.value = "band" in state.shown


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


def caption(study: Study) -> str:
    """What the chart shows, in words: where its points and its lines come from."""
    words = in_words(study.precision)
    star = f"the star's accuracy{words} is {study.origin.generated}, its bar is the error band"
    line = "; the dotted line is the front that a search predicts, the area its band" * study.origin.searched
    said = study.origin.cloud.format(n=len(study.scored.codes), rows=study.manifest.data.val)
    return f"{said}{words}; {star}{line}. Click a point to look at its network."


def _check(text: str, value: bool) -> w.Checkbox:
    return w.Checkbox(value=value, description=text, indent=False, layout={"width": "auto"})
