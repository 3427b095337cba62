"""The current network: a drawing of its blocks, a description in words, and a table of its costs."""

from __future__ import annotations

from html import escape

import ipywidgets as w

from explorer.devices import amount
from explorer.plots.architecture import architecture_svg, describe
from explorer.widgets.state import DashboardState, in_words


class ArchitectureView(w.VBox):
    """Picture, text and cost table of the current network.

    Args:
        state: the state of the page.
    """

    def __init__(self, state: DashboardState) -> None:
        self.state = state
        self.picture, self.text, self.table = w.HTML(), w.HTML(), w.HTML()
        state.observe(self.refresh)
        super().__init__([self.picture, w.HBox([self.text, self.table], layout={"flex_flow": "row wrap"})])
        self.refresh()

    def refresh(self) -> None:
        """Show the current network."""
        state = self.state
        layers = state.study.space.layers(state.candidate.architecture)
        device = state.study.devices[state.chart]
        self.picture.value = architecture_svg(layers, device.shares(layers), state.chart)
        lines = "<br>".join(escape(line) for line in describe(layers).splitlines())
        self.text.value = (
            f'<div class="architecture-text" style="line-height:1.5;margin-right:40px"><b>Architecture</b><br>'
            f"{lines}<br><code>{escape(state.candidate.key)}</code></div>"
        )
        self.table.value = self._table()

    def _table(self) -> str:
        c, study = self.state.candidate, self.state.study
        budget = self.state.budget
        rows = [
            (
                "accuracy",
                f"{c.accuracy:.2%} ({c.interval[0]:.2%} to {c.interval[1]:.2%})",
                "",
                study.origin.generated + in_words(study.precision),
            ),
        ]
        measured = self.state.accuracy_of(c.key)
        if measured is not None:
            how = f"measured on validation images{in_words(study.precision)}, {study.origin.weights}"
            rows.append(("accuracy", f"{measured:.2%}", "", how))
        for name, device in study.devices.items():
            limit = f"{budget[name]:.4g}" if name in budget else ""
            rows.append((name, amount(device, c.costs[name]), limit, str(device.provenance)))
        here = self.state.measured.get(c.key, {}).get("latency")
        if here is not None:
            how = f"measured{in_words(study.precision)}, onnxruntime, one thread, batch 1"
            rows.append(("this machine", here, "", how))
        cells = "".join("<tr>" + "".join(f"<td>{escape(v)}</td>" for v in row) + "</tr>" for row in rows)
        return (
            "<style>.costs td,.costs th{padding:1px 14px 1px 0;text-align:left}</style>"
            '<table class="costs"><tr><td></td><th scope="col">value</th><th scope="col">budget</th>'
            '<th scope="col">where from</th></tr>'
            f"{cells}</table>"
        )
