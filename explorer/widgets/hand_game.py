"""A game of building networks by hand: a menu per decision, a chart of the tries, the true front at the end."""

from __future__ import annotations

from typing import Any

import ipywidgets as w
import numpy as np
import plotly.graph_objects as go

from explorer.plots.front import BLUE, CONFIG, ORANGE, figure_layout
from explorer.spaces import Decision
from explorer.widgets.lesson import Lesson

WORDS = {"depth": "blocks in stage", "kernel": "kernel of", "expand": "expansion of", "resolution": "image size"}


class HandGame(w.VBox):
    """Cover as much of the true front as possible in a few tries.

    Args:
        lesson: knows the true front.
        tries: how many networks may be tried.
    """

    def __init__(self, lesson: Lesson, tries: int = 8) -> None:
        self.lesson, self.tries = lesson, tries
        self.tried: list[str] = []
        self.menus = [
            w.Dropdown(
                options=[(str(value), i) for i, value in enumerate(record.options)], description=_words(record),
                layout={"width": "230px"}, style={"description_width": "140px"},
            )
            for record in lesson.study.space.records
        ]  # fmt: skip
        self.attempt = w.Button(description="Try this network", button_style="primary")
        self.give_up = w.Button(description="Show the true front")
        self.said = w.HTML()
        self.figure = go.FigureWidget(self._figure())
        self.figure._config = CONFIG
        self.attempt.on_click(lambda _: self.try_it())
        self.give_up.on_click(lambda _: self.reveal())
        super().__init__([
            w.GridBox(self.menus, layout={"grid_template_columns": "repeat(auto-fill, 240px)"}),
            w.HBox([self.attempt, self.give_up]), self.said, self.figure,
        ])  # fmt: skip
        self._say()

    def try_it(self) -> None:
        """Count the network chosen in the menus as a try."""
        space = self.lesson.study.space
        row = space.canonical(np.array([[menu.value for menu in self.menus]], np.int8))
        key = str(self.lesson.study.predict(row).index[0])
        if len(self.tried) < self.tries and key not in self.tried:
            self.tried.append(key)
        table = self.lesson.looked_up(self.tried)
        with self.figure.batch_update():
            stars = self.figure.data[1]
            stars.x, stars.y = table[self.lesson.device].tolist(), (100 * table["accuracy"]).tolist()
            stars.text = [str(i + 1) for i in range(len(self.tried))]
        self._say()

    def reveal(self) -> None:
        """Show the true front; this ends the tries."""
        self.attempt.disabled = True
        with self.figure.batch_update():
            self.figure.data[0].visible = True

    def _say(self) -> None:
        left = self.tries - len(self.tried)
        self.attempt.disabled = self.attempt.disabled or left == 0
        self.said.value = (
            f'<span role="status">{len(self.tried)} tries, {left} left; together they reach '
            f"<b>{self.lesson.share(self.tried):.1%}</b> of the true front.</span>"
        )

    def _figure(self) -> Any:
        truth, device = self.lesson.truth, self.lesson.device
        low, high = 100 * self.lesson.accuracy.min(), 100 * self.lesson.accuracy.max()
        air = 0.06 * (high - low)
        line = {"color": BLUE, "shape": "hv"}
        return go.Figure(
            [
                go.Scatter(x=truth.costs[:, 0].tolist(), y=(100 * truth.accuracy).tolist(), mode="lines+markers",
                           line=line, name="true front", visible=False),
                go.Scatter(x=[], y=[], text=[], mode="markers+text", textposition="top center", name="your tries",
                           marker={"size": 12, "symbol": "star", "color": ORANGE}),
            ],
            figure_layout(f"{device} [{self.lesson.study.devices[device].unit}]", "accuracy, predicted [%]").update(
                yaxis_range=[low - air, high + 2 * air],
                xaxis_range=[0.9 * float(self.lesson.costs.min()), 1.05 * float(self.lesson.costs.max())],
            ),
        )  # fmt: skip


def _words(record: Decision) -> str:
    """A readable name of a decision, such as "kernel of 2.1"."""
    return f"{WORDS.get(record.kind, record.kind)} {'.'.join(map(str, record.place))}".strip()
