"""The one state of the page: a study, its budgets, the generated network. Views observe it; it knows no view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from explorer.front import Candidate


class DashboardState:
    """What the page shows.

    A device that is on bounds the network; one that is off only shows the network's own cost. Every change generates a
    network (milliseconds) and then tells every observer.

    Args:
        study: an open study.

    Attributes:
        budgets: device -> limit, for all that have a slider.
        active: devices whose limit binds.
        chart: the device of the chart.
        candidate: the generated network.
        generator: the name of the generator that made it.
    """

    def __init__(self, study: Any) -> None:
        self.study = study
        self.chart: str = study.targets[0]
        self.generator: str = study.generators[0]
        self.budgets: dict[str, float] = {}
        self.active: set[str] = {self.chart}
        self._observers: list[Callable[[], None]] = []
        self.budgets[self.chart] = study.knee(self.chart)
        self.candidate: Candidate = self._generate()

    @property
    def budget(self) -> dict[str, float]:
        """Limits that bind."""
        return {name: self.budgets[name] for name in self.study.targets if name in self.active}

    def range(self, device: str) -> tuple[float, float]:
        """Of a device's slider."""
        return self.study.budget_range(device)

    def observe(self, callback: Callable[[], None]) -> None:
        """Call back after every change."""
        self._observers.append(callback)

    def move(self, device: str, value: float) -> None:
        """Set a limit; it binds from now on."""
        if device in self.active and self.budgets[device] == value:
            return
        self.budgets[device] = value
        self.active.add(device)
        self._update()

    def switch(self, device: str, on: bool) -> None:
        """Let a limit bind or not."""
        if on == (device in self.active):
            return
        self.active.symmetric_difference_update({device})
        self._update()

    def use(self, generator: str) -> None:
        """Choose the generator."""
        if generator != self.generator:
            self.generator = generator
            self._update()

    def show(self, device: str) -> None:
        """Choose the device of the chart."""
        self.chart = device
        self._tell()

    def summary(self) -> str:
        """One sentence for people and screen readers."""
        c, study = self.candidate, self.study
        costs = ", ".join(f"{name} {c.costs[name]:.3g} {study.devices[name].unit}" for name in study.targets)
        said = f"Predicted accuracy {c.accuracy:.1%} ({c.interval[0]:.1%} to {c.interval[1]:.1%}); {costs}."
        return said if c.feasible else f"Not reachable: {study.nearest_line(self.budget, c)}. {said}"

    def _generate(self) -> Candidate:
        candidate = self.study.generate(self.budget, self.generator)
        for name in self.study.targets:
            if name not in self.active:
                self.budgets[name] = candidate.costs[name]
        return candidate

    def _update(self) -> None:
        self.candidate = self._generate()
        self._tell()

    def _tell(self) -> None:
        for callback in self._observers:
            callback()
