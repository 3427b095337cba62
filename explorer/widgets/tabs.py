"""Tabs whose panels are made when they are first opened, so that a page with many of them opens fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as w

from explorer.widgets.guarded import Say, guarded


class Tabs(w.Tab):
    """Named panels, one of which is shown.

    Args:
        panels: name -> (title, function that makes the panel).
        say: shows a message on the page.
    """

    def __init__(self, panels: Mapping[str, tuple[str, Callable[[], w.Widget]]], say: Say) -> None:
        self._make = {name: make for name, (_, make) in panels.items()}
        self._made: dict[str, w.Widget] = {}
        self._places = {name: w.VBox([]) for name in panels}
        super().__init__(list(self._places.values()), titles=tuple(title for title, _ in panels.values()))
        self.observe(guarded(say)(lambda change: self._opened(change["new"])), "selected_index")
        self.selected_index = 0
        self._opened(0)

    def panel(self, name: str) -> w.Widget:
        """The panel with this name; it is made if its tab was never opened."""
        if name not in self._made:
            self._made[name] = self._make[name]()
            self._places[name].children = [self._made[name]]
        return self._made[name]

    def show(self, name: str) -> None:
        """Show a panel."""
        self.selected_index = list(self._places).index(name)

    def _opened(self, index: int | None) -> None:
        if index is not None:
            self.panel(list(self._places)[index])
