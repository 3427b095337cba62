"""One row per target: the best network for its budget alone, and what that network costs on the others."""

from __future__ import annotations

from html import escape

import ipywidgets as w
import pandas as pd

from explorer.devices import amount
from explorer.widgets.clickable import Clickable
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.sentences import in_words
from explorer.widgets.state import DashboardState


class TargetsView(w.VBox):
    """A table with a winner per target; costs above another target's budget are marked.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state = state
        on = guarded(say)
        self.table = Clickable(on(state.pick), on(state.hint))
        state.observe(self.refresh)
        super().__init__([self.table])
        self.refresh()

    def refresh(self) -> None:
        """Generate the winners for the budgets that the sliders show, bounded or not."""
        state, study = self.state, self.state.study
        targets, budgets = state.targets, state.budgets
        winners = study.generate_many(pd.DataFrame([{t: budgets[t]} for t in targets]), state.generator)
        heads = "".join(f'<th scope="col">{escape(t)}</th>' for t in targets)
        rows = []
        for target, winner in zip(targets, winners):
            cells = "".join(
                f"<td{' class=over' if winner.costs[t] > budgets[t] * (1 + 1e-9) else ''}>"
                f"{escape(amount(study.devices[t], winner.costs[t], 3))}</td>"
                for t in targets
            )
            rows.append(
                f'<tr><th scope="row">{escape(target)} within '
                f"{escape(amount(study.devices[target], budgets[target], 3))}</th><td>{winner.accuracy:.2%}</td>{cells}"
                f'<td><button type="button" data-key="{escape(winner.key)}" aria-label="Take the winner on '
                f'{escape(target)}">Take it</button></td></tr>'
            )
        self.table.html = (
            "<p>The best network for each budget alone, whether it is switched on or not, and what it costs elsewhere. "
            'Costs above the budget of that column are <span class="over">marked</span>.</p>'
            f'<table class="rows"><tr><th scope="col">winner on</th><th scope="col">accuracy'
            f"{in_words(study.precision)}, {study.origin.generated}</th>{heads}<td></td></tr>{''.join(rows)}</table>"
        )
