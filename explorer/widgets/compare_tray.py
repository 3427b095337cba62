"""Pinned networks side by side, with names and notes; values that differ from the first network are bold and marked."""

from __future__ import annotations

from html import escape

import ipywidgets as w

from explorer.core.front import Candidate
from explorer.plots.architecture import describe, difference_svg
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.links import LONGEST
from explorer.widgets.sentences import in_words
from explorer.widgets.state import DashboardState

EMPTY = "<p>No network is pinned. Press “Pin this network” for up to four of them: they stand here side by side.</p>"


class CompareTray(w.VBox):
    """Name, compare and unpin the pinned networks.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state, self._guard = state, guarded(say)
        self.pins = w.VBox([])
        self._shown: list[str] = []
        self.table, self.picture = w.HTML(), w.HTML()
        state.observe(self.refresh)
        super().__init__([self.pins, self.table, self.picture])
        self.refresh()

    def refresh(self) -> None:
        """Show the pinned networks."""
        pins = self.state.pins
        if self._shown != [p.key for p in pins]:
            self._shown = [p.key for p in pins]
            self.pins.children = [self._row(i, p.key) for i, p in enumerate(pins, 1)]
        for row, pin in zip(self.pins.children, pins):
            row.children[0].value, row.children[1].value = self.state.texts.get(pin.key, ("", ""))
        self.table.value = self._table() if pins else EMPTY
        self.picture.value = self._difference() if len(pins) > 1 else ""

    def _row(self, number: int, key: str) -> w.HBox:
        """Fields for a pinned network's name and note, and buttons to look at it and to unpin it."""
        name = w.Text(description=f"name of {number}", placeholder=str(number), continuous_update=False)
        note = w.Text(description=f"note on {number}", placeholder="a note", continuous_update=False)
        name.layout.width, note.layout.width = "220px", "360px"
        for field, what in ((name, "name"), (note, "note")):
            field.tooltip = f"a {what} of up to {LONGEST[what]} characters, part of the link to this view"
            field.observe(self._guard(lambda _: self.state.call(key, name.value, note.value)), "value")
        look = w.Button(description=f"Show {number}", tooltip=key, layout={"width": "80px"})
        look.on_click(self._guard(lambda _: self.state.pick(key)))
        unpin = w.Button(description=f"Unpin {number}", tooltip=key, layout={"width": "90px"})
        unpin.on_click(self._guard(lambda _: self.state.unpin(key)))
        return w.HBox([name, note, look, unpin], layout={"flex_flow": "row wrap"})

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
            f'<th scope="col">{escape(self.state.name_of(p.key))}: <code>{escape(p.key)}</code></th>'
            for p in self.state.pins
        )
        rows = []
        for name, values in self._rows():
            cells = "".join(
                f"<td{' class=differs' if value and value != values[0] else ''}>{escape(value)}</td>"
                for value in values
            )
            rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
        return f'<table class="compare rows"><tr><td></td>{heads}</tr>{"".join(rows)}</table>'

    def _difference(self) -> str:
        names = (self.state.name_of(self.state.pins[0].key), self.state.name_of(self.state.pins[1].key))
        first, second = (self.state.study.space.layers(p.architecture) for p in self.state.pins[:2])
        return difference_svg(first, second, names=names)
