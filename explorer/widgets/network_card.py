"""The current network beside the chart: accuracy with its band, costs against budgets, and a drawing of its blocks."""

from __future__ import annotations

from html import escape

import ipywidgets as w

from explorer.devices import amount
from explorer.plots.architecture import describe
from explorer.plots.small_drawings import column_svg
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.measure_panel import MeasurePanel
from explorer.widgets.sentences import in_words
from explorer.widgets.state import DashboardState


class NetworkCard(w.VBox):
    """Accuracy, costs, picture and description of the current network; buttons to pin and to measure it.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state = state
        on = guarded(say)
        self.figures, self.picture, self.text = w.HTML(), w.HTML(), w.HTML()
        self.pin = w.Button(description="Pin this network", button_style="primary", layout={"width": "auto"})
        self.release = w.Button(description="Back to generated", layout={"width": "auto"})
        self.pin.on_click(on(lambda _: state.pin()))
        self.release.on_click(on(lambda _: state.release()))
        self.measure = MeasurePanel(state)
        self.picture.add_class("explorer-picture")
        state.observe(self.refresh)
        buttons = w.HBox([self.pin, self.release], layout={"flex_flow": "row wrap"})
        super().__init__([self.figures, buttons, self.measure, self.picture, self.text])
        self.add_class("explorer-network")
        self.refresh()

    def refresh(self) -> None:
        """Show the current network."""
        state = self.state
        layers = state.study.space.layers(state.candidate.architecture)
        shares = state.study.devices[state.chart].shares(layers)
        self.picture.value = (
            '<div class="picture" tabindex="0" role="group" aria-label="blocks of the network">'
            f"{column_svg(layers, shares, state.chart)}</div>"
        )
        lines = "<br>".join(escape(line) for line in describe(layers).splitlines())
        self.text.value = (
            f'<div class="architecture-text"><code>{escape(state.candidate.key)}</code>'
            f"<details><summary>In words</summary>{lines}<br>{self._sources()}</details></div>"
        )
        self.figures.value = self._accuracy() + self._costs()
        self.release.layout.display = "" if state.picked else "none"
        self.pin.disabled = len(state.pins) == state.most

    def _sources(self) -> str:
        """Where the costs come from, in full."""
        devices = self.state.study.devices
        return "<br>".join(f"{escape(name)}: {escape(str(devices[name].provenance))}" for name in devices)

    def _accuracy(self) -> str:
        """The accuracy in large digits, its band, and the measured one where it is known."""
        c, study = self.state.candidate, self.state.study
        words = in_words(study.precision)
        band = f"{study.origin.generated}{words}, {c.interval[0]:.1%} to {c.interval[1]:.1%}"
        measured = self.state.accuracy_of(c.key)
        known = ""
        if measured is not None:
            known = (
                f'<p><b>{measured:.2%}</b> <span class="soft">measured on validation images{words}, '
                f"{escape(study.origin.weights)}</span></p>"
            )
        whose = "picked" if self.state.picked else "generated"
        return (
            f'<h3>The {whose} network</h3><p class="accuracy"><b>{c.accuracy:.2%}</b> '
            f'<span class="soft">{escape(band)}</span></p>{known}'
        )

    def _costs(self) -> str:
        """A table of all costs; a bar shows how much of a budget is used."""
        c, study, budget = self.state.candidate, self.state.study, self.state.budget
        shown = [*study.main_targets, *(name for name in study.devices if name not in study.targets)]
        rows = []
        for name in shown:
            device, limit = study.devices[name], budget.get(name)
            over = limit is not None and c.costs[name] > limit * (1 + 1e-9)
            used = "" if limit is None else _meter(c.costs[name] / limit, amount(device, limit, 4), over)
            rows.append(
                f'<tr><th scope="row">{escape(name)}</th><td{" class=over" if over else ""}>'
                f"{escape(amount(device, c.costs[name]))}</td><td>{used}"
                f'<span class="soft" title="{escape(str(device.provenance))}">{escape(device.provenance.kind)}</span>'
                "</td></tr>"
            )
        here = self.state.measured.get(c.key, {}).get("latency")
        if here is not None:
            how = f"measured{in_words(study.precision)}, onnxruntime, one thread, batch 1"
            rows.append(f'<tr><th scope="row">this machine</th><td>{escape(here)}</td><td>{escape(how)}</td></tr>')
        return f'<table class="costs">{"".join(rows)}</table>'


def _meter(share: float, limit: str, over: bool) -> str:
    """A thin bar: the part of a budget that is used."""
    kind = ' class="meter over"' if over else ' class="meter"'
    return (
        f'<span{kind} title="{share:.0%} of the budget"><i style="width:{min(share, 1):.0%}"></i></span>'
        f'<span class="soft">of {escape(limit)}</span> '
    )
