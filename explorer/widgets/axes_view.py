"""Parallel axes of accuracy, costs and choices: brush an axis, and networks within all ranges appear as lines."""

from __future__ import annotations

import math
from html import escape
from typing import Any

import ipywidgets as w
import numpy as np
import plotly.graph_objects as go

from explorer.plots.axes import ACCURACY, keys_of
from explorer.plots.front import CONFIG, figure_layout
from explorer.widgets.clickable import Clickable
from explorer.widgets.fitted import Fitted
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.number_field import NumberField, text_of
from explorer.widgets.state import DashboardState

LISTED = 8


class AxesView(w.VBox):
    """Axes to brush, number fields that do the same, and a table of what was found.

    An upper end on a target is its budget, too, so that the star follows; all other ends bound this panel's networks.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state, self._guard, self._quiet = state, guarded(say), False
        info = state.axes_info
        other = set(state.study.targets) - set(state.targets)  # those that price another precision
        shown = [name for name in info.names if name not in other]
        self._names = [name for name in shown if np.ptp(info.values[:, info.names.index(name)]) > 0]
        columns = {name: info.values[:, info.names.index(name)] for name in self._names}
        self._ends = {name: np.array([at.min(), at.max()]) for name, at in columns.items()}
        self.figure = go.FigureWidget(self._figure())
        self.figure._config = CONFIG
        for i, name in enumerate(self._names):
            brushed = self._guard(lambda _, ends, n=name: self._brushed(n, ends))
            self.figure.data[0].dimensions[i].on_change(brushed, "constraintrange")
        self.fields = {name: self._fields(name) for name in self._names}
        self.clear = w.Button(description="Clear all ranges", layout={"width": "150px"})
        self.clear.on_click(self._guard(lambda _: state.within_all({})))
        self.said = w.HTML()
        self.table = Clickable(self._guard(state.pick), self._guard(state.hint))
        numbers = w.HBox(
            [w.VBox([low, high]) for low, high in self.fields.values()],
            layout={"flex_flow": "row wrap", "grid_gap": "4px 16px"},
        )
        exact = w.Accordion([numbers], titles=("Ranges as numbers",), selected_index=None)
        state.observe(self.refresh)
        super().__init__([
            w.HTML(
                "<p>Drag along an axis to ask for a range, also for a least accuracy or cost; drag its ends to change "
                "it, click the axis to drop it. Lines are networks within all ranges.</p>"
            ),
            Fitted(), self.figure, w.HBox([self.clear, self.said], layout={"flex_flow": "row wrap"}), exact, self.table,
        ])  # fmt: skip
        self.refresh()

    def _figure(self) -> go.Figure:
        info = self.state.axes_info
        dimensions = []
        for name in self._names:
            unit = info.units[info.names.index(name)]
            low, high = self._ends[name]
            dimensions.append({"label": f"{name} [{unit}]" if unit else name, "range": [low, high], "values": []})
        trace = go.Parcoords(
            dimensions=dimensions, line={"color": [], "colorscale": "Cividis", "cmin": self._ends[ACCURACY][0],
            "cmax": self._ends[ACCURACY][1]}, labelfont={"size": 12}, tickfont={"size": 10},
        )  # fmt: skip
        return go.Figure(trace, figure_layout("", "").update(height=300, margin={"l": 60, "r": 60, "t": 50, "b": 24}))

    def _fields(self, name: str) -> tuple[NumberField, NumberField]:
        low, high = self._ends[name]
        made = []
        for end, value in (("from", low), ("to", high)):
            field = NumberField(value, low, high, (high - low) / 50 or 1.0, f"{name} {end}", width="230px")
            field.observe(self._guard(lambda _, n=name: self._typed(n)), "value")
            made.append(field)
        return made[0], made[1]

    def _typed(self, name: str) -> None:
        if not self._quiet:
            low, high = (field.value for field in self.fields[name])
            self._ask(name, low, max(low, high))

    def _brushed(self, name: str, ends: Any) -> None:
        if self._quiet:
            return
        flat = np.ravel(np.array(ends, float)) if ends is not None and len(ends) else np.zeros(0)
        if len(flat):
            self._ask(name, float(flat.min()), float(flat.max()))
        else:
            self._ask(name, -math.inf, math.inf)

    def _ask(self, name: str, low: float, high: float) -> None:
        """Ask for a range; an end at the axis's own end bounds nothing."""
        least, most = self._ends[name]
        air = 1e-6 * (most - least)
        self.state.within(name, -math.inf if low <= least + air else low, math.inf if high >= most - air else high)

    def refresh(self) -> None:
        """Show the networks within the ranges, and the ranges."""
        state, info = self.state, self.state.axes_info
        rows = state.found
        shown = rows if len(rows) else np.array([info.nearest(state.ranges)])
        trace = self.figure.data[0]
        self._quiet = True
        try:
            with self.figure.batch_update():
                for i, name in enumerate(self._names):
                    values = info.values[shown, info.names.index(name)]
                    if trace.dimensions[i]["values"] is None or not np.array_equal(
                        trace.dimensions[i]["values"], values
                    ):
                        trace.dimensions[i]["values"] = values
                    ends = self._range(name)
                    if list(trace.dimensions[i].constraintrange or ()) != list(ends or ()):
                        trace.dimensions[i].constraintrange = ends
                if not np.array_equal(trace.line.color, info.accuracy[shown]):
                    trace.line.color = info.accuracy[shown]
            for name, (low, high) in self.fields.items():
                asked = state.ranges.get(name, (-math.inf, math.inf))
                low.value, high.value = max(asked[0], low.min), min(asked[1], high.max)
        finally:
            self._quiet = False
        where = f"within {len(state.ranges)} range{'s' * (len(state.ranges) != 1)}" if state.ranges else "in all"
        count = f"{len(rows)} networks" if len(rows) != 1 else "1 network"
        said = f"{count} {where}, none of them beaten by another one in accuracy and every budget."
        if not len(rows):
            said = "No known network is within all ranges; this is the nearest one."
        self.said.value = f'<div role="status" aria-live="polite">{said}</div>'
        self.table.html = self._table(shown[:LISTED])

    def _range(self, name: str) -> list[float] | None:
        if name not in self.state.ranges:
            return None
        low, high = self.state.ranges[name]
        return [max(low, float(self._ends[name][0])), min(high, float(self._ends[name][1]))]

    def _table(self, rows: np.ndarray) -> str:
        info = self.state.axes_info
        columns = [info.names.index(name) for name in self._names]
        heads = "".join(f'<th scope="col">{escape(info.names[i])}</th>' for i in columns)
        body = []
        for row, key in zip(rows, keys_of(self.state.study.space, info.codes[rows])):
            cells = "".join(f"<td>{text_of(info.values[row, i])}</td>" for i in columns)
            take = f'<button type="button" data-key="{escape(key)}" aria-label="Take {escape(key)}">Take it</button>'
            body.append(f"<tr><td>{take}</td>{cells}</tr>")
        return f'<table class="rows"><tr><td></td>{heads}</tr>{"".join(body)}</table>'
