"""Small drawings of networks along the front, from cheap to costly: pointing marks one, a click takes it."""

from __future__ import annotations

from html import escape

import ipywidgets as w
import numpy as np
import pandas as pd

from explorer.core.front import Candidate
from explorer.devices import amount
from explorer.plots.small_drawings import silhouette_svg
from explorer.widgets.clickable import Clickable
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.state import DashboardState

SHOWN = 9


class Gallery(w.VBox):
    """Networks that the generator gives for budgets along the chart's device.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state, self._of = state, ("", "")
        self._networks: list[Candidate] = []
        on = guarded(say)
        self.cards = Clickable(on(state.pick), on(state.hint))
        self.cards.add_class("explorer-gallery")
        state.observe(self.refresh)
        super().__init__([self.cards])
        self.refresh()

    def refresh(self) -> None:
        """Generate the networks anew where device or generator has changed, and mark the current one."""
        state = self.state
        if self._of != (state.chart, state.generator):
            self._of, self._networks = (state.chart, state.generator), along(state)
            layers = [state.study.space.layers(c.architecture) for c in self._networks]
            tallest = max((layer.widest for network in layers for layer in network), default=1)
            self._drawn = [silhouette_svg(network, tallest) for network in layers]
        cards = [self._card(c, svg) for c, svg in zip(self._networks, self._drawn)]
        self.cards.html = (
            f'<div class="cards" role="group" aria-label="networks along the front">{"".join(cards)}</div>'
        )

    def _card(self, candidate: Candidate, svg: str) -> str:
        state = self.state
        cost = amount(state.study.devices[state.chart], candidate.costs[state.chart], 3)
        here = str(candidate.key == state.candidate.key).lower()
        return (
            f'<button type="button" data-key="{escape(candidate.key)}" aria-pressed="{here}" '
            f'title="{escape(candidate.key)}">{svg}<span><b>{candidate.accuracy:.1%}</b> {escape(cost)}</span></button>'
        )


def along(state: DashboardState) -> list[Candidate]:
    """Distinct networks of the generator for budgets along the chart's device, the cheapest first."""
    study, device = state.study, state.chart
    if device in study.main_targets:
        low, high = state.range(device)
        asked = pd.DataFrame({device: np.geomspace(low * (1 + 1e-9), high, SHOWN)})
        found = study.generate_many(asked, state.generator)
    else:  # a count, which has no slider: networks of the evaluated front
        front = study.front(device)
        rows = np.unique(np.linspace(0, len(front) - 1, SHOWN).round().astype(int))
        found = [study.candidate(study.architecture(key)) for key in front["key"].iloc[rows]]
    return list({c.key: c for c in found}.values())
