"""As much of a study as pictures read; `explorer.study.Study` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from explorer.core.front import Candidate
from explorer.devices import LayerDevice
from explorer.spaces import Space

if TYPE_CHECKING:
    import pandas as pd


class StudyView(Protocol):
    """What is drawn of a study."""

    space: Space
    folder: Path
    manifest: Any
    devices: dict[str, LayerDevice]

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def origin(self) -> Any:
        """What it comes from, with its words."""

    @property
    def targets(self) -> list[str]:
        """Devices with a slider."""

    @property
    def evaluations(self) -> pd.DataFrame:
        """Evaluated networks."""

    @property
    def measured_accuracy(self) -> Mapping[str, float]:
        """key -> measured accuracy."""

    def front(self, device: str) -> pd.DataFrame:
        """Non-dominated evaluated networks."""

    def searched(self, device: str) -> pd.DataFrame:
        """The searched front."""

    def knee(self, device: str) -> float:
        """The budget behind which accuracy gets expensive."""

    def budget_range(self, device: str) -> tuple[float, float]:
        """(lowest reachable, highest useful) cost."""

    def generator(self, name: str | None = None) -> Any:
        """A generator by name."""

    def generate_many(self, limits: pd.DataFrame, generator: str | None = None) -> Sequence[Candidate]:
        """One network per row of budgets."""
