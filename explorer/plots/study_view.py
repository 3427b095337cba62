"""The part of a study that plots use, as a protocol; `explorer.study.Study` implements it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from explorer.core.architecture import Architecture
from explorer.core.front import Candidate
from explorer.devices import LayerDevice
from explorer.spaces import Space

if TYPE_CHECKING:
    import pandas as pd


class StudyView(Protocol):
    """The members of a study that plots read."""

    space: Space
    folder: Path
    manifest: Any
    devices: dict[str, LayerDevice]

    @property
    def name(self) -> str:
        """Name of the study."""

    @property
    def origin(self) -> Any:
        """Where the study's networks and accuracies come from, see `explorer.study.Origin`."""

    @property
    def targets(self) -> list[str]:
        """Names of the devices whose costs can be budgets."""

    @property
    def main_targets(self) -> list[str]:
        """Those of the targets that are shown."""

    @property
    def evaluations(self) -> pd.DataFrame:
        """Evaluated networks: key, accuracy, source, and one cost column per device."""

    @property
    def measured_accuracy(self) -> Mapping[str, float]:
        """Architecture key -> measured accuracy in [0, 1]."""

    @property
    def predictor(self) -> Any:
        """Gives accuracies of networks, and their interval."""

    def architecture(self, key: str) -> Architecture:
        """Return the architecture with this key."""

    def front(self, device: str) -> pd.DataFrame:
        """Return the non-dominated evaluated networks on one device."""

    def searched(self, device: str) -> pd.DataFrame:
        """Return the front that a search found on one device, by predicted accuracy."""

    def knee(self, device: str) -> float:
        """Return the knee of the front: the budget above which more accuracy becomes expensive."""

    def budget_range(self, device: str) -> tuple[float, float]:
        """Return the (lowest reachable, highest useful) cost on one device."""

    def generator(self, name: str | None = None) -> Any:
        """Return a generator by name, by default the first."""

    def generate_many(self, limits: pd.DataFrame, generator: str | None = None) -> Sequence[Candidate]:
        """Generate one network per row of budgets."""
