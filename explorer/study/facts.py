"""The data of a study: evaluations, fronts, budget ranges, predictions and, measured on demand, accuracy on images.

Generating and searching networks is in `study`.
"""

from __future__ import annotations

import copy
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from explorer.core.architecture import Architecture, as_codes, key_of
from explorer.core.config import parse, read_toml
from explorer.core.errors import InputError, unknown
from explorer.core.front import Candidate, Front, nondominated
from explorer.devices import LayerDevice, targets_of
from explorer.devices.population import cheapest, prices
from explorer.devices.quantities import FP32, INT8, checked_precision, precision_of
from explorer.evaluators import Predictor, Scored, Table, read_scores
from explorer.evaluators.lowered import Change
from explorer.generators import BudgetGenerator, open_generator
from explorer.spaces import Space, read_architecture
from explorer.study.manifest import CHANGE_INT8, EVALUATIONS, EVALUATIONS_INT8, PREDICTOR, RECIPE, Manifest
from explorer.study.measured import Measured
from explorer.study.origin import Origin
from explorer.study.recipe import Recipe
from explorer.study.searched import knee_of, read_searched

if TYPE_CHECKING:
    from explorer.data import Images
    from explorer.evaluators.recall import Recognised
    from explorer.supernets import Network, Supernet


class Facts:
    """The data of a finished study: evaluations, fronts, budget ranges, predictions, and accuracy measured on images.

    Args:
        folder: folder of the study.
        manifest: the parsed `study.json`.
        devices: name -> device; targets first, then counts.
        space: search space, configured for the study's images.
        trained: generators by name that are used instead of those in the folder.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, devices: Mapping[str, LayerDevice], space: Space,
        trained: Mapping[str, BudgetGenerator] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.manifest, self.space = folder, manifest, space
        self._generators: dict[str, BudgetGenerator] = dict(trained or {})
        self.devices: dict[str, LayerDevice] = dict(devices)
        self._ranges: dict[str, tuple[float, float]] = {}
        self.checked, self.precision = True, FP32
        self._views: dict[str, Self] = {}

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.manifest.name

    @property
    def origin(self) -> Origin:
        """Where the study's networks and accuracies come from."""
        return self.manifest.origin

    @property
    def targets(self) -> list[str]:
        """Names of the devices whose costs can be budgets: counts of the origin, then hardware, latencies first."""
        return [*self.origin.targets, *(device.name for device in targets_of(self.devices.values()))]

    @property
    def main_targets(self) -> list[str]:
        """What is shown, and searched by default: in a study with accuracies in eight bits, the targets that price the
        precision that it shows; all targets in any other.
        """
        if INT8 not in self.precisions:
            return self.targets
        own = [n for n in self.targets if n in self.devices and precision_of(self.devices[n]) == self.precision]
        return own or self.targets

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, space={self.space.name!r}, devices={list(self.devices)})"

    @cached_property
    def recipe(self) -> Recipe:
        """The recipe that the study was trained with, with the study's seed.

        Raises:
            InputError: the file is missing, or this version cannot read it.
        """
        path = self.folder / RECIPE
        return parse(Recipe, read_toml(path), str(path)).model_copy(update={"seed": self.manifest.seed})

    # recorded and predicted ---------------------------------------------------------------------------------

    @cached_property
    def predictor(self) -> Predictor | Table:
        """The accuracy predictor with its interval; for a list of networks, the table of measured accuracies."""
        if self.origin.enumerated:
            return Table(self.space, self.scored, self.manifest.data.val)
        found = Predictor.open(self.space, self.folder / PREDICTOR)
        return found if self.precision == FP32 else Change.open(self.folder / CHANGE_INT8).added(found)

    @cached_property
    def scored(self) -> Scored:
        """The evaluated architectures with their accuracy and its source.

        Raises:
            InputError: there are none, or the file is damaged.
        """
        path = self.folder / (EVALUATIONS if self.precision == FP32 else EVALUATIONS_INT8)
        found = read_scores(path, self.space)
        if not len(found.codes):
            raise InputError(f"{str(path)!r} contains no evaluated architectures")
        return found

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """The evaluated networks: columns key, accuracy, source, and one cost column per device.

        Accuracy is measured on validation images (with inherited weights, in a trained study), unless the source is
        "predicted".
        """
        table = {
            "key": [key_of(self.space, row) for row in self.scored.codes],
            "accuracy": self.scored.accuracy,
            "source": self.scored.source,
        }
        costs = {name: prices(self.space, device, self.scored.codes) for name, device in self.devices.items()}
        return pd.DataFrame(table | costs)

    @cached_property
    def measured_accuracy(self) -> dict[str, float]:
        """Key -> accuracy measured on validation images; empty if all are predicted."""
        table = self.evaluations
        rows = table["source"] != "predicted"
        return dict(zip(table["key"][rows], table["accuracy"][rows].astype(float)))

    def front(self, device: str) -> pd.DataFrame:
        """Return the non-dominated evaluated networks on one device, in ascending order of its cost."""
        self._known([device])
        table = self.evaluations
        rows = nondominated(table["accuracy"].to_numpy(), table[[device]].to_numpy())
        return table.iloc[rows].reset_index(drop=True)

    def searched(self, device: str) -> pd.DataFrame:
        """Return the front that a search found on one device by predicted accuracy; empty if the study has none.

        Returns:
            Columns key, predicted, measured (NaN if the network was not measured), and the cost on the device.
        """
        self._known([device])
        table = read_searched(self.folder, device, self.manifest.files)
        if self.precision == FP32 or not len(table):
            return table
        table["predicted"] = self.predictor.evaluate(as_codes(self.space, [self.architecture(k) for k in table["key"]]))
        table["measured"] = [self.measured_accuracy.get(key, math.nan) for key in table["key"]]
        return table.iloc[nondominated(table["predicted"].to_numpy(), table[[device]].to_numpy())].reset_index(
            drop=True
        )

    def knee(self, device: str) -> float:
        """Return the knee of the front, the budget above which more accuracy becomes expensive; see `knee_of`."""
        return knee_of(self.front(device), device)

    def budget_range(self, device: str) -> tuple[float, float]:
        """Return the (lowest reachable, highest useful) cost on one device.

        Above the highest useful cost, no evaluated or searched network is more accurate. If the cheapest network is
        also the most accurate one, the range is widened to 5 % so that it is not empty.
        """
        self._known([device])
        if device not in self._ranges:
            target = self.devices[device]
            low = float(target.cost(self.space, cheapest(self.space, target)[None])[0])
            ends = [float(front[device].max()) for front in (self.front(device), self.searched(device)) if len(front)]
            self._ranges[device] = (low, max(1.05 * low, *ends))
        return self._ranges[device]

    def predict(self, architectures: Sequence[Architecture] | np.ndarray) -> pd.DataFrame:
        """Predict the accuracy of architectures and compute their costs.

        Returns:
            Columns accuracy, lo, hi (the prediction interval) and one cost column per device; indexed by key. A cost is
            NaN where a device has no price for one of the network's layers.
        """
        codes = self.space.canonical(as_codes(self.space, architectures))
        accuracy = self.predictor.evaluate(codes)
        lo, hi = self.predictor.interval(accuracy)
        costs = {name: prices(self.space, device, codes) for name, device in self.devices.items()}
        index = pd.Index([key_of(self.space, row) for row in codes], name="key")
        return pd.DataFrame({"accuracy": accuracy, "lo": lo, "hi": hi} | costs, index=index)

    def architecture(self, key: str) -> Architecture:
        """Return the architecture with this key, or of a text in another notation; see `read_architecture`."""
        return read_architecture(self.space, key)

    def candidate(self, architecture: Architecture, generator: str = "") -> Candidate:
        """Return an architecture as a candidate with accuracy (see `Candidate.source`) and costs; no budget applies.

        Raises:
            InputError: a device has no price for one of its layers; the message names both.
        """
        row = self.predict([architecture]).iloc[0]
        for name, device in self.devices.items():
            if math.isnan(row[name]):
                device.cost(self.space, architecture.codes[None])  # names what is missing
        costs = {name: float(row[name]) for name in self.devices}
        return Candidate(
            architecture, float(row["accuracy"]), (float(row["lo"]), float(row["hi"])), costs, True, generator,
            self.origin.generated, self.precision,
        )  # fmt: skip

    # precision ------------------------------------------------------------------------------------------------------

    @property
    def precisions(self) -> tuple[str, ...]:
        """Precisions that the study has accuracies in: "fp32", and "int8" if networks were measured in it."""
        return (FP32, INT8) if CHANGE_INT8 in self.manifest.files else (FP32,)

    def in_precision(self, precision: str) -> Self:
        """Return this study with all accuracies in a precision: predicted and measured ones, fronts, and generators.

        Costs stay what they are: a device says itself which precision it prices.

        Raises:
            InputError: unknown precision, or one that the study has no accuracies in.
        """
        if checked_precision(precision) == self.precision:
            return self
        if precision not in self.precisions:
            listed = self.folder.parent.name == "studies"  # found by its name
            where = self.name if listed else shlex.quote(str(self.folder))
            raise InputError(
                f"study {self.name!r} has no accuracies in {precision}; this adds them: "
                f"explorer quantise {where} --out DIR"
            )
        if precision not in self._views:
            other = copy.copy(self)
            for name in ("predictor", "scored", "evaluations", "measured_accuracy"):
                other.__dict__.pop(name, None)
            other.precision, other._ranges, other._generators = precision, {}, {}
            other._views = {self.precision: self}
            other.__dict__["measured"] = self.measured  # images and weights are read once
            devices = list(self.devices.values())
            for name, made in self._generators.items():
                other._generators[name] = open_generator(self.space, made.model, other.predictor, devices, made.weights)
            self._views[precision] = other
        return self._views[precision]

    # measured on images (loads torch) ---------------------------------------------------------------------------

    @cached_property
    def measured(self) -> Measured:
        """The study's images and weights."""
        return Measured(self.folder, self.manifest, self.space, self.checked)

    def with_images(self, data: str | None = None, checked: bool = True) -> Self:
        """Return this study with its images in another place.

        Args:
            data: "folder:PATH", the new place; None for the present one.
            checked: whether only the images of the training are accepted. If not, weights can be exported with any
                images of the same classes, and no accuracy on test images is reported, because they may be among those
                of the training.
        """
        other = copy.copy(self)
        other.__dict__.pop("measured", None)
        other._views = {}
        other.checked = checked
        if data is not None:
            about = self.manifest.data.model_copy(update={"name": data})
            other.manifest = self.manifest.model_copy(update={"data": about})
        return other

    @property
    def images(self) -> Images:
        """The study's images; see `Measured.images`."""
        return self.measured.images

    @property
    def supernet(self) -> Supernet:
        """The trained supernet; see `Measured.supernet`."""
        return self.measured.supernet

    def network(self, architecture: Architecture) -> Network:
        """Return the network of an architecture with inherited weights; see `Measured.network`."""
        return self.measured.network(architecture)

    def evaluate(
        self, architectures: Sequence[Architecture] | np.ndarray, split: str = "val", precision: str | None = None
    ) -> np.ndarray:
        """Measure (n,) accuracies in [0, 1] with inherited weights on "val" or "test"; see `Measured.evaluate`."""
        return self.measured.evaluate(architectures, split, precision or self.precision)

    def extrapolated(self, architecture: Architecture) -> dict[str, str]:
        """Return device -> one line, for devices whose cost of a network is outside the range that they were fitted to.

        The error of the fit does not hold for such a cost.
        """
        codes = np.array([architecture.choices], np.int8)
        said = {name: device.outside(self.space, codes) for name, device in self.devices.items()}
        return {name: line for name, line in said.items() if line}

    def recognised(
        self, architectures: Sequence[Architecture] | np.ndarray, split: str = "val", precision: str | None = None
    ) -> list[Recognised]:
        """Measure accuracy and the recall of every class; see `Measured.recognised`."""
        return self.measured.recognised(architectures, split, precision or self.precision)

    def remeasure(self, front: Front, at_most: int = 20, split: str = "val") -> pd.DataFrame:
        """Measure the accuracy of networks spread along a front, with inherited weights (loads torch).

        Args:
            front: for example the result of `search`.
            at_most: maximum number of networks to measure.
            split: "val" or "test".

        Returns:
            Columns key, predicted, lo, hi, measured, and one cost column per device.
        """
        rows = np.unique(np.linspace(0, len(front) - 1, min(at_most, len(front))).round().astype(int))
        table = self.predict(front.codes[rows]).reset_index().rename(columns={"accuracy": "predicted"})
        table.insert(4, "measured", self.evaluate(front.codes[rows], split))
        return table

    # checks ---------------------------------------------------------------------------------------------------

    def _known(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.devices:
                raise unknown("target", name, self.devices)

    def _check_budget(self, device: str, value: object) -> None:
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not math.isfinite(float(value)) or float(value) <= 0:  # type: ignore[arg-type]
            unit = self.devices[device].unit
            raise InputError(f"budget {device} = {value!r}; expected a number of {unit} above 0")
