"""Budget controls: for each target a switch, a log-scale slider, a number field and its range; a generator menu."""

from __future__ import annotations

import math
from html import escape

import ipywidgets as w

from explorer.devices.boards import BOARDS
from explorer.devices.quantities import words_of
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.number_field import NumberField
from explorer.widgets.sentences import one_more
from explorer.widgets.slider_names import SliderNames
from explorer.widgets.state import MEMORY, DashboardState


class BudgetPanel(w.VBox):
    """Sliders for the budgets of all targets.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state = state
        self._quiet = False
        self.rows = {name: _Row(state, name) for name in state.targets}
        for name, row in self.rows.items():
            row.slider.observe(guarded(say)(lambda change, n=name: self._moved(n, change["new"])), "value")
            row.number.observe(guarded(say)(lambda change, n=name: self._moved(n, change["new"])), "value")
            row.on.observe(guarded(say)(lambda change, n=name: self._switched(n, change["new"])), "value")
        self.generator = w.Dropdown(
            options=state.study.generators, value=state.generator, description="generator", layout={"width": "100%"}
        )
        self.generator.observe(guarded(say)(lambda change: state.use(change["new"])), "value")
        self.board = w.Dropdown(
            options=[("no board", ""), *((board.title, name) for name, board in BOARDS.items())], value=state.board,
            description="board", layout={"width": "100%"},
        )  # fmt: skip
        self.board.observe(guarded(say)(lambda change: self._board(change["new"])), "value")
        self.asking = w.Checkbox(value=False, description="ask for accuracy instead", indent=False)
        self.least = NumberField(0, 0, 100, 0.1, "at least [%]", "%", width="200px")
        self.cheapest = w.Dropdown(options=state.targets, description="cheapest on", layout={"width": "100%"})
        self.asking.observe(guarded(say)(lambda change: self._asked()), "value")
        self.least.observe(guarded(say)(lambda change: self._asked()), "value")
        self.cheapest.observe(guarded(say)(lambda change: self._asked()), "value")
        self.wish = w.VBox([self.least, self.cheapest])
        self.knee = w.Button(description="Suggest: the knee", layout={"width": "auto"})
        self.knee.on_click(guarded(say)(lambda _: state.knee()))
        self.more = w.HTML()
        state.observe(self.refresh)
        devices = {name: state.study.devices[name] for name in self.rows}
        names = SliderNames({
            f"slider-{name}": (f"{words_of([device])} budget on {name}", device.unit)
            for name, device in devices.items()
        })  # fmt: skip
        picker = [self.generator] * (len(state.study.generators) > 1)
        super().__init__(
            [
                w.HTML(f"<h3>{words_of(devices.values()).capitalize()} budgets</h3>"),
                *[self.board] * set(MEMORY).issubset(self.rows),
                *(row.box for row in self.rows.values()),
                self.asking,
                self.wish,
                *picker,
                self.knee,
                self.more,
                names,
            ]
        )
        self.refresh()

    def _moved(self, device: str, value: float) -> None:
        if not self._quiet and not self.rows[device].shows(value):
            low, high = self.state.range(device)
            self.state.move(device, min(max(value, low), high))

    def _switched(self, device: str, on: bool) -> None:
        if not self._quiet:
            self.state.switch(device, on)

    def _asked(self) -> None:
        """Pass on what is asked for; at first, the accuracy of the present network at the chart's device."""
        if self._quiet:
            return
        if not self.asking.value:
            self.state.ask(None)
        elif self.state.least is None:
            rounded = math.floor(1e4 * self.state.candidate.accuracy) / 1e4
            chart = self.state.chart
            self.state.ask(rounded, chart if chart in self.state.targets else None)
        else:
            self.state.ask(self.least.value / 100, str(self.cheapest.value))

    def _board(self, board: str) -> None:
        if not self._quiet:
            self.state.bound(board)

    def refresh(self) -> None:
        """Show the state. Values set here do not count as moves by the user."""
        self._quiet = True
        try:
            for name, row in self.rows.items():
                row.show(self.state.budgets[name], name in self.state.active)
            least = self.state.least
            self.asking.value, self.wish.layout.display = least is not None, "none" if least is None else ""
            self.least.value, self.cheapest.value = 100 * (least or 0), self.state.on
            self.generator.value, self.board.value = self.state.generator, self.state.board
            self.more.value = f'<div class="one-more">{escape(one_more(self.state))}</div>'
        finally:
            self._quiet = False


class _Row:
    def __init__(self, state: DashboardState, device: str) -> None:
        low, high = state.range(device)
        unit = state.study.devices[device].unit
        self.low, self.high = low, high
        self._shown: tuple[float, ...] = ()
        self.on = w.Checkbox(value=False, description=f"bound {device}", indent=False, layout={"width": "auto"})
        self.on.tooltip = f"bound {device}"
        self.slider = w.FloatLogSlider(
            value=high, min=math.log10(low), max=math.log10(high), step=max(1e-4, math.log10(high / low) / 100),
            readout=False, layout={"width": "100%"},
        )  # fmt: skip
        self.slider.add_class(f"slider-{device}")
        self.number = NumberField(high, low, high, (high - low) / 100, f"{device} [{unit}]", unit)
        about = state.study.devices[device].provenance
        self.range = w.HTML(f"<small>{low:.3g} to {high:.3g} {unit} reachable &middot; {about.kind}</small>")
        top = w.HBox([self.on, self.number])
        top.add_class("top")
        self.box = w.VBox([top, self.slider, self.range])
        self.box.add_class("explorer-budget")

    def show(self, value: float, on: bool) -> None:
        """Show a value.

        The slider is set to the next step above it: a browser rounds any other value and reports the rounded one.
        """
        value = min(max(value, self.low), self.high)
        start, step = float(self.slider.min), float(self.slider.step or 1.0)
        steps = math.ceil(round((math.log10(value) - start) / step, 6))
        self.slider.value = min(10 ** (start + steps * step), self.high)
        self.number.value = value
        self.on.value = on
        (self.box.add_class if on else self.box.remove_class)("on")
        self._shown = (self.slider.value, self.number.value)

    def shows(self, value: float) -> bool:
        """Whether a value that the browser reports is the one already shown."""
        return any(math.isclose(value, shown, rel_tol=1e-6) for shown in self._shown)
