"""A table that compares pinned networks; values that differ from the first network are bold and marked."""

from __future__ import annotations

from html import escape

import ipywidgets as w

from explorer.core.front import Candidate
from explorer.plots.architecture import describe, difference_svg
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.state import PINS, DashboardState, in_words

STYLE = (
    "<style>.compare td,.compare th{padding:2px 14px 2px 0;text-align:left;vertical-align:top}"
    ".compare .differs{font-weight:bold}.compare .differs::before{content:'\\2260 '}</style>"
)


class CompareTray(w.VBox):
    """Pin the current network, compare up to four pinned networks, unpin them.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state, self._guard = state, guarded(say)
        self.pin = w.Button(description="Pin this network", layout={"width": "150px"})
        self.pin.on_click(self._guard(lambda _: state.pin()))
        self.unpins = w.HBox([], layout={"flex_flow": "row wrap"})
        self.table, self.picture = w.HTML(), w.HTML()
        state.observe(self.refresh)
        super().__init__([w.HBox([self.pin, self.unpins]), self.table, self.picture])
        self.refresh()

    def refresh(self) -> None:
        """Show the pinned networks."""
        pins = self.state.pins
        self.pin.disabled = len(pins) == PINS
        if [b.tooltip for b in self.unpins.children] != [p.key for p in pins]:
            self.unpins.children = [self._unpin(i, p.key) for i, p in enumerate(pins, 1)]
        self.table.value = self._table() if pins else ""
        self.picture.value = self._difference() if len(pins) > 1 else ""

    def _unpin(self, number: int, key: str) -> w.Button:
        button = w.Button(description=f"Unpin {number}", tooltip=key, layout={"width": "90px"})
        button.on_click(self._guard(lambda _: self.state.unpin(key)))
        return button

    def _rows(self) -> list[tuple[str, list[str]]]:
        state = self.state
        words = in_words(state.study.precision)
        rows = [(f"accuracy{words}, {state.study.origin.generated}", [f"{p.accuracy:.2%}" for p in state.pins])]
        measured = [state.accuracy_of(p.key) for p in state.pins]
        rows.append((f"accuracy{words}, measured on validation", ["" if a is None else f"{a:.2%}" for a in measured]))
        for name, device in state.study.devices.items():
            rows.append((f"{name} [{device.unit}]", [f"{p.costs[name]:.4g}" for p in state.pins]))
        rows.append(("on this machine", [state.measured.get(p.key, {}).get("latency", "") for p in state.pins]))
        stages = [dict(line.split(": ", 1) for line in self._words(p)) for p in state.pins]
        for stage in dict.fromkeys(name for words in stages for name in words):
            rows.append((stage, [words.get(stage, "") for words in stages]))
        return [row for row in rows if any(row[1])]

    def _words(self, candidate: Candidate) -> list[str]:
        return describe(self.state.study.space.layers(candidate.architecture)).splitlines()

    def _table(self) -> str:
        heads = "".join(
            f'<th scope="col">{i}: <code>{escape(p.key)}</code></th>' for i, p in enumerate(self.state.pins, 1)
        )
        rows = []
        for name, values in self._rows():
            cells = "".join(
                f"<td{' class=differs' if value != values[0] else ''}>{escape(value)}</td>" for value in values
            )
            rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
        return f'{STYLE}<table class="compare"><tr><td></td>{heads}</tr>{"".join(rows)}</table>'

    def _difference(self) -> str:
        first, second = (self.state.study.space.layers(p.architecture) for p in self.state.pins[:2])
        return difference_svg(first, second, names=("1", "2"))
