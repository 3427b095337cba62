"""Measure the current network: latency on this machine, accuracy on validation images."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import ipywidgets as w

from explorer.widgets.job import JobRow
from explorer.widgets.sentences import in_words
from explorer.widgets.state import DashboardState


class MeasurePanel(JobRow):
    """Two buttons; each starts a measurement in its own process, which can be cancelled.

    Args:
        state: the state of the page.
    """

    def __init__(self, state: DashboardState) -> None:
        self.state = state
        self.latency = w.Button(description="Measure on this machine", layout={"width": "auto"})
        self.accuracy = w.Button(description="Evaluate now", layout={"width": "auto"})
        self.latency.on_click(lambda _: self.start("latency"))
        self.accuracy.on_click(lambda _: self.start("accuracy"))
        super().__init__([self.latency, self.accuracy] if state.study.origin.has_weights else [self.latency])

    def start(self, what: str) -> Future:
        """Start to measure "latency" or "accuracy" of the current network."""
        key = self.state.candidate.key
        command = {"latency": ["measure"], "accuracy": ["evaluate", "--per-class"]}[what]
        self.say_text(f"{'Timing' if what == 'latency' else 'Evaluating'} {key} ...")
        return self.run(
            [*command, str(self.state.study.folder), "--architecture", key, "--precision", self.state.study.precision],
            lambda found: self._done(key, what, found),
        )

    def _done(self, key: str, what: str, found: dict[str, Any]) -> None:
        if what == "accuracy":
            self.state.note(key, accuracy=found["accuracy"])
            how = f"measured{in_words(self.state.study.precision)}, {self.state.study.origin.weights}"
            said = f"{key}: {found['accuracy']:.2%} on {found['split']} images ({how}); balanced "
            said += f"{found['balanced_accuracy']:.2%}, always naming the largest class {found['majority_share']:.2%}"
            worst = min(found["recall"], key=found["recall"].get)
            self.say_text(f"{said}; least recognised: {worst} ({found['recall'][worst]:.0%})")
            return
        said = f"{found['latency_ms']:.3g} ms +- {found['spread_ms']:.2g}"
        self.state.note(key, latency=said)
        how = f"measured{in_words(self.state.study.precision)}: {found['hardware']}, {found['runtime']}"
        self.say_text(f"{key}: {said} ({how}, {found['threads']} thread, batch 1)")
