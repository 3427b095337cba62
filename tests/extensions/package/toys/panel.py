"""A panel: how many networks the page has shown."""

import ipywidgets as w

from explorer.widgets import Panel


class Counter(w.HTML):
    def __init__(self, state, say):
        super().__init__()
        self.seen, self.state = set(), state
        state.observe(self.count)
        self.count()

    def count(self):
        self.seen.add(self.state.candidate.key)
        self.value = f"{len(self.seen)} networks seen"


PANEL = Panel("Seen", Counter)
