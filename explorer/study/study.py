"""A study: one folder with everything that was trained, opened without torch.

`study.json` names every other file with its hash and is written last, so a folder with it is complete. A study answers:
which network for this budget, how accurate, how costly. Torch is loaded only to measure accuracy on images.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.core.architecture import Architecture, as_codes, key_of
from explorer.core.config import parse, read_toml
from explorer.core.errors import InputError, first_line, require_torch, unknown
from explorer.core.files import data_folder, expanded, home, is_file, read_json, sha256
from explorer.core.front import Candidate, Front, make_front, nondominated
from explorer.core.protocols import Progress, silent
from explorer.devices import COUNTS, LayerDevice, device_from, free_name, load_device
from explorer.devices.counts import params
from explorer.devices.population import cheapest
from explorer.evaluators import Predictor, Scored, Table, read_scores
from explorer.generators import ENUMERATION, BudgetGenerator, Enumeration, open_generator, side_by_side
from explorer.searches import fronts, search
from explorer.spaces import SPACES
from explorer.spaces.table import NAME as TABLE
from explorer.spaces.table import TableSpace
from explorer.study.manifest import FORMAT, SUPERNET, Manifest

TABLE_FILE = "table.json"  # the networks of a table space
SAMPLES = 16  # draws per budget; 32 find 0.01 points more and take 1.6 times as long


class Study:
    """A finished study.

    Args:
        folder: of the study.
        manifest: its parsed `study.json`.
        devices: name -> device; targets first, then counts.
        trained: generators by name that stand for those in the folder.
    """

    def __init__(
        self, folder: Path, manifest: Manifest, devices: Mapping[str, Any], trained: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.manifest = folder, manifest
        self._generators: dict[str, BudgetGenerator] = dict(trained or {})
        self.devices: dict[str, Any] = dict(devices)
        self.space: Any = _space(folder, manifest)

    @property
    def name(self) -> str:
        """Its name."""
        return self.manifest.name

    @property
    def targets(self) -> list[str]:
        """Devices that are hardware: those with a latency; of a table of networks their size, too, and first."""
        size = ["params_m"] if self.is_table else []
        return [*size, *(name for name, device in self.devices.items() if device.unit == "ms")]

    @property
    def is_table(self) -> bool:
        """Whether its space is a table of some networks, each with weights of its own."""
        return self.manifest.space.name == TABLE

    @property
    def accuracy_is(self) -> str:
        """What the accuracy of a generated network is: "predicted", or of a table "measured"."""
        return "measured" if self.is_table else "predicted"

    @property
    def weights_are(self) -> str:
        """Whose weights its networks have: "inherited weights", or of a table "weights of their own"."""
        return "weights of their own" if self.is_table else "inherited weights"

    @property
    def has_weights(self) -> bool:
        """Whether there is a trained supernet; without one, accuracies come from published rows by the predictor."""
        return SUPERNET in self.manifest.files

    def __repr__(self) -> str:
        return f"Study({self.name!r}, space={self.space.name!r}, devices={list(self.devices)})"

    # what is known ------------------------------------------------------------------------------------------

    @cached_property
    def predictor(self) -> Predictor | Table:
        """Accuracy predictor with its band; of a table of networks, what was measured."""
        if self.is_table:
            return Table(self.space, self.scored, self.manifest.data.val)
        return Predictor.open(self.space, self.folder / "predictor.onnx")

    @cached_property
    def scored(self) -> Scored:
        """Architectures with measured validation accuracy.

        Raises:
            InputError: none, or a damaged file.
        """
        path = self.folder / "evaluations.csv"
        found = read_scores(path, self.space)
        if not len(found.codes):
            raise InputError(f"{str(path)!r} holds no evaluation")
        return found

    @cached_property
    def evaluations(self) -> pd.DataFrame:
        """key, accuracy, source, and one column per device.

        Accuracy is measured on validation images with inherited weights; where the source is "predicted", it is not.
        """
        table = {
            "key": [key_of(self.space, row) for row in self.scored.codes],
            "accuracy": self.scored.accuracy,
            "source": self.scored.source,
        }
        costs = {name: device.cost(self.space, self.scored.codes) for name, device in self.devices.items()}
        return pd.DataFrame(table | costs)

    @cached_property
    def measured_accuracy(self) -> dict[str, float]:
        """key -> accuracy measured on validation images with inherited weights; empty where all are predicted."""
        table = self.evaluations
        rows = table["source"] != "predicted"
        return dict(zip(table["key"][rows], table["accuracy"][rows].astype(float)))

    def front(self, device: str) -> pd.DataFrame:
        """Non-dominated evaluated networks on one device, ascending in its cost (accuracy is measured on val)."""
        self._known([device])
        table = self.evaluations
        rows = nondominated(table["accuracy"].to_numpy(), table[[device]].to_numpy())
        return table.iloc[rows].reset_index(drop=True)

    def searched(self, device: str) -> pd.DataFrame:
        """The front that a search found by predicted accuracy: key, predicted, measured (NaN where not), the cost.

        Empty where the study has none for this device.
        """
        self._known([device])
        name = f"searched-{device}.csv"
        if name not in self.manifest.files:
            return pd.DataFrame({"key": [], "predicted": [], "measured": [], device: []})
        try:
            table = pd.read_csv(self.folder / name, dtype={"key": str})
            numbers = table[["predicted", "measured", device]].astype(float)
            if not np.isfinite(numbers[["predicted", device]].to_numpy()).all():
                raise ValueError("a value is no number")
            return table[["key"]].astype(str).join(numbers)
        except (ValueError, KeyError) as error:
            raise InputError(f"{str(self.folder / name)!r} is damaged: {first_line(error)}") from error

    def knee(self, device: str) -> float:
        """The budget behind which accuracy gets expensive: the inner point of the front farthest above its chord."""
        front = self.front(device)
        cost, accuracy = front[device].to_numpy(), front["accuracy"].to_numpy()
        x = (cost - cost[0]) / max(float(np.ptp(cost)), 1e-9)
        y = (accuracy - accuracy[0]) / max(float(np.ptp(accuracy)), 1e-9)
        inner = (y - x)[1:-1]
        return float(front[device].iloc[1 + int(inner.argmax()) if len(inner) else -1])

    def budget_range(self, device: str) -> tuple[float, float]:
        """(lowest reachable, highest useful) cost; beyond the latter no network measured or searched is more accurate.

        Where the cheapest network is the most accurate one too, the range is 5 % wide, so that there is one.
        """
        self._known([device])
        if device not in self._ranges:
            target = self.devices[device]
            low = float(target.cost(self.space, cheapest(self.space, target)[None])[0])
            ends = [float(front[device].max()) for front in (self.front(device), self.searched(device)) if len(front)]
            self._ranges[device] = (low, max(1.05 * low, *ends))
        return self._ranges[device]

    @cached_property
    def _ranges(self) -> dict[str, tuple[float, float]]:
        return {}

    def predict(self, architectures: Sequence[Architecture] | np.ndarray) -> pd.DataFrame:
        """accuracy, lo, hi (predicted) and one column per device; indexed by key."""
        codes = self.space.canonical(as_codes(self.space, architectures))
        accuracy = self.predictor.evaluate(codes)
        lo, hi = self.predictor.interval(accuracy)
        costs = {name: device.cost(self.space, codes) for name, device in self.devices.items()}
        index = pd.Index([key_of(self.space, row) for row in codes], name="key")
        return pd.DataFrame({"accuracy": accuracy, "lo": lo, "hi": hi} | costs, index=index)

    def architecture(self, key: str) -> Architecture:
        """Read a key."""
        return Architecture.from_key(self.space, key)

    def candidate(self, architecture: Architecture, generator: str = "") -> Candidate:
        """A network with its predicted accuracy and costs, whatever its budget."""
        row = self.predict([architecture]).iloc[0]
        costs = {name: float(row[name]) for name in self.devices}
        return Candidate(
            architecture, float(row["accuracy"]), (float(row["lo"]), float(row["hi"])), costs, True, generator
        )

    # budgets in, networks out -------------------------------------------------------------------------------

    @property
    def generators(self) -> list[str]:
        """Names of the generators in this study, the default first: the best on held-out budgets."""
        return list(self.manifest.generators)

    def generator(self, name: str | None = None) -> BudgetGenerator | Enumeration:
        """A generator by name, the first unless named.

        Raises:
            InputError: this study has no such generator.
        """
        name = name or next(iter(self.generators), "")
        if name not in self.generators:
            raise unknown("generator", name, self.generators)
        if name == ENUMERATION:
            return Enumeration(self.space, self.predictor, list(self.devices.values()))
        if name not in self._generators:
            path = self.folder / f"generator-{name}.onnx"
            self._generators[name] = open_generator(self.space, path, self.predictor, list(self.devices.values()))
        return self._generators[name]

    def generate(self, budget: Mapping[str, float], generator: str | None = None) -> Candidate:
        """The network for a budget, such as `{"mobile": 5.0, "cpu": 2.0}`; equal calls give equal networks.

        Below the reachable range: a candidate with `feasible=False` that is the nearest reachable network.

        Raises:
            InputError: unknown device, or a budget that is not a number above 0.
        """
        self._known(budget)
        for device, value in budget.items():
            self._check_budget(device, value)
        limits = np.array([[float(budget.get(name, np.nan)) for name in self.devices]])
        return self._generate(limits, generator)[0]

    def generate_many(self, limits: pd.DataFrame, generator: str | None = None) -> list[Candidate]:
        """One candidate per row, in one pass; columns are devices, NaN leaves a device free.

        Every row has draws of its own, so a network may be another than `generate` gives for that budget alone.
        """
        self._known(limits.columns)
        for device in limits.columns:
            for value in limits[device].to_numpy():
                if not (isinstance(value, float) and math.isnan(value)):
                    self._check_budget(device, value)
        table = np.column_stack([
            limits[name].to_numpy(float) if name in limits else np.full(len(limits), np.nan) for name in self.devices
        ])  # fmt: skip
        return self._generate(table, generator)

    def generated_front(self, device: str, generator: str | None = None, budgets: int = 100) -> Front:
        """The networks that a generator gives for budgets spread over one device's range, in one pass."""
        low, high = self.budget_range(device)
        table = pd.DataFrame({device: np.geomspace(low, high, budgets)})
        made = self.generate_many(table, generator)
        codes = np.array([c.architecture.choices for c in made], np.int8)
        accuracy, costs = np.array([c.accuracy for c in made]), np.array([[c.costs[device]] for c in made])
        corner = self.manifest.reference.get(device)
        return make_front(self.space, codes, accuracy, costs, [device], corner, evaluations=budgets)

    def compare_generators(self, device: str, budgets: int = 100) -> pd.DataFrame:
        """Every generator on the same budgets, log-spaced over one device's range: see `side_by_side`."""
        low, high = self.budget_range(device)
        chosen: list[Any] = [self.generator(name) for name in self.generators]
        corner = self.manifest.reference.get(device) or self.generated_front(device, budgets=budgets).reference
        return side_by_side(chosen, device, np.geomspace(1.02 * low, high, budgets), SAMPLES, corner)

    def _generate(self, limits: np.ndarray, generator: str | None) -> list[Candidate]:
        chosen = self.generator(generator)
        kept = chosen.select(limits, np.random.default_rng(0), SAMPLES)
        lo, hi = self.predictor.interval(kept.accuracy)
        return [
            Candidate(architecture, accuracy, band, dict(zip(self.devices, costs)), feasible, chosen.method)
            for architecture, accuracy, band, costs, feasible in zip(
                Architecture.many(self.space, kept.codes), kept.accuracy.tolist(), zip(lo.tolist(), hi.tolist()),
                kept.costs.tolist(), kept.feasible.tolist(),
            )
        ]  # fmt: skip

    def nearest_line(self, budget: Mapping[str, float], candidate: Candidate) -> str:
        """One line on a budget that cannot be met."""
        asked = ", ".join(f"{name} {value:g} {self.devices[name].unit}" for name, value in budget.items())
        found = ", ".join(f"{name} {candidate.costs[name]:.4g} {self.devices[name].unit}" for name in budget)
        return f"budget {asked} is not reachable; the nearest reachable network has {found}"

    def search(
        self, algorithm: str = "memetic", devices: Sequence[str] | None = None, evaluations: int = 100_000,
        seed: int = 0, **options: Any,
    ) -> Front:  # fmt: skip
        """Search the front of predicted accuracy against some devices' costs (all targets unless named).

        `options` are those of `explorer.search`: budgets, patience, file, progress. The hypervolume's reference
        is the study's. A search exploits the predictor's errors: `remeasure` the front before trusting it.
        """
        names = list(devices) if devices is not None else self.targets
        self._known(names)
        corner = [self.manifest.reference[name] for name in names if name in self.manifest.reference]
        reference = [corner[0][0], *(c[1] for c in corner)] if len(corner) == len(names) > 0 else None
        return search(
            self.space, self.predictor, [self.devices[n] for n in names], algorithm, evaluations, seed,
            reference=reference, **options,
        )  # fmt: skip

    def remeasure(self, front: Front, at_most: int = 20, split: str = "val") -> pd.DataFrame:
        """Networks spread along a front: key, predicted, lo, hi, measured (inherited weights; loads torch), costs."""
        rows = np.unique(np.linspace(0, len(front) - 1, min(at_most, len(front))).round().astype(int))
        table = self.predict(front.codes[rows]).reset_index().rename(columns={"accuracy": "predicted"})
        table.insert(4, "measured", self.evaluate(front.codes[rows], split))
        return table

    def with_device(self, device: Any, retrain: bool = True, progress: Progress = silent) -> Study:
        """This study with one more device: its own slider, its own costs, and the generators trained again (minutes).

        Args:
            device: anybody's; a name that the study does not have.
            retrain: False keeps the generators as they are (an instant); selection then enforces the new device.
            progress: reports steps.

        Raises:
            InputError: the name is taken, or the device cannot price this space.
            MissingExtra: to be retrained, without torch.
        """
        if device.name in self.devices:
            raise InputError(f"device {device.name!r} is already in study {self.name!r}; choose another name")
        free_name(device.name)
        device.cost(self.space, self.space.sample(1, np.random.default_rng(0)))
        devices = {n: d for n, d in self.devices.items() if d.unit == "ms"} | {device.name: device} | self.devices
        if not retrain or self.is_table:  # a table's networks are enumerated
            return Study(self.folder, self.manifest, devices)
        require_torch("training a generator (retrain=False keeps the present one)")
        from explorer.generators.methods import TRAINERS

        recipe, seed = read_toml(self.folder / "recipe.toml"), self.manifest.seed
        searched = int(recipe.get("search", {}).get("evaluations", 20_000))
        found = fronts(
            self.space, self.predictor, [d for d in devices.values() if d.unit == "ms"], searched, seed, progress
        )
        known, trained = np.concatenate([front.codes for front in found]), {}
        for name in self.generators:
            method = TRAINERS[name]
            config = parse(method.config, dict(recipe.get(name, {})), str(self.folder / "recipe.toml"))
            trained[name] = method.train(
                self.space, self.predictor, list(devices.values()), config, seed, progress, known
            )
        return Study(self.folder, self.manifest, devices, trained)

    # measured (torch) -----------------------------------------------------------------------------------------

    @cached_property
    def images(self) -> Any:
        """The study's images, split as they were in training.

        Raises:
            InputError: they are not on this machine, or are other images than those of the training.
        """
        if not self.has_weights:
            raise InputError(f"study {self.name!r} has no images: its accuracies are predicted from published ones")
        require_torch("loading images")
        from explorer.data.datasets import load_dataset

        about = self.manifest.data
        images = load_dataset(about.name, self.manifest.seed, about.size)
        found = [*images.mean, *images.std]  # of all training images
        if len(images.train) > about.train:  # a recipe may take some of them only
            images = images.subset(about.train)
        same = list(images.classes) == about.classes and np.allclose(found, [*about.mean, *about.std], atol=1e-6)
        if not same or (len(images.train), len(images.val)) != (about.train, about.val):
            raise InputError(f"the images of {about.name!r} are not those that study {self.name!r} was trained on")
        return images

    @cached_property
    def supernet(self) -> Any:
        """The trained supernet, in evaluation mode.

        Raises:
            InputError: this study has none, or its file is damaged.
        """
        if not self.has_weights:
            raise InputError(f"study {self.name!r} has no trained weights: its accuracies are predicted")
        require_torch("loading a supernet")
        from explorer.supernets import make_supernet
        from explorer.supernets.checkpoint import load_tensors

        path = self.folder / SUPERNET
        if self._weights() > path.stat().st_size:  # 4 bytes each: no file of all of them is as small
            raise InputError(f"{str(path)!r} does not fit space {self.space.name!r}: it is too small")
        supernet = make_supernet(self.space, self.manifest.data.mean, self.manifest.data.std)
        try:
            supernet.load_state_dict(load_tensors(path))
        except RuntimeError as error:
            raise InputError(f"{str(path)!r} does not fit space {self.space.name!r}") from error
        return supernet.eval()

    def _weights(self) -> int:
        """Parameters of the largest network; of a table, of all of them."""
        last = [len(options) - 1 for options in self.space.decisions.values()]
        rows = self.space.enumerate() if self.is_table else [last]
        return sum(params(layer) for row in rows for layer in self.space.layers(row))

    def network(self, architecture: Architecture) -> Any:
        """The recalibrated plain network of an architecture, with inherited weights."""
        return self._evaluator("val").network(architecture)

    def evaluate(self, architectures: Sequence[Architecture] | np.ndarray, split: str = "val") -> np.ndarray:
        """(n,) accuracy in [0, 1], measured with inherited weights on "val" or "test"."""
        if split not in ("val", "test"):
            raise unknown("split", split, ("val", "test"))
        codes = self.space.canonical(as_codes(self.space, architectures))
        return np.asarray(self._evaluator(split).evaluate(codes))

    def _evaluator(self, split: str) -> Any:
        require_torch("measuring accuracy")
        from explorer.evaluators import SharedWeights

        return SharedWeights(self.supernet, self.images, split, calibration=self.manifest.calibration_images)

    # checks ---------------------------------------------------------------------------------------------------

    def _known(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self.devices:
                raise unknown("target", name, self.devices)

    def _check_budget(self, device: str, value: Any) -> None:
        number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value <= 0:
            unit = self.devices[device].unit
            raise InputError(f"budget {device} = {value!r}; expected a number of {unit} above 0")


def open_study(study: str | Path | Study) -> Study:
    """Open a study: a folder, else a name in `$EXPLORER_HOME`, else a shipped study.

    Raises:
        InputError: unknown, incomplete, damaged or foreign; names the file.
    """
    if isinstance(study, Study):
        return study
    folder = find_study(study)
    values = read_json(folder / "study.json")
    source = str(folder / "study.json")
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise InputError(f"{source}: format {found!r} is not one that this version reads (it reads {FORMAT})")
    manifest = parse(Manifest, values, source)
    if folder.parent in (home() / "studies", data_folder("studies")):  # there, the folder's name is what opens it
        manifest = manifest.model_copy(update={"name": folder.name})
    for name, digest in manifest.files.items():
        if not re.fullmatch(r"(devices/)?[A-Za-z0-9][A-Za-z0-9._-]*", name):
            raise InputError(f"{source}: file name {name!r} leaves the study")
        path = folder / name
        if path.is_symlink() or path.parent.is_symlink():
            raise InputError(f"study {str(folder)!r}: {name} is a link; a study holds its files itself")
        if not path.is_file():
            raise InputError(f"study {str(folder)!r} is damaged: {name} is missing")
        if sha256(path) != digest:
            raise InputError(f"study {str(folder)!r} is damaged: {name} is not the file that was written")
    trained = [name for name in manifest.generators if name != ENUMERATION]
    needed = [
        "evaluations.csv", TABLE_FILE if manifest.space.name == TABLE else "predictor.onnx",
        *(f"generator-{name}.onnx" for name in trained),
        *(f"devices/{name}.json" for name in manifest.devices if name not in COUNTS),
    ]  # fmt: skip
    for name in needed:
        if name not in manifest.files:
            raise InputError(f"{source}: files lacks {name!r}")
    opened = Study(folder, manifest, {name: _device(folder, name) for name in manifest.devices})
    if not opened.targets:
        raise InputError(f"{source}: devices = {manifest.devices}: none of them has a latency")
    return opened


def find_study(study: str | Path) -> Path:
    """The folder of a study's name or path."""
    path = expanded(study)
    if is_file(path / "study.json"):
        return path
    if is_file(path / "recipe.toml"):
        command = f"explorer train {path / 'recipe.toml'} --out {path} --resume"
        raise InputError(f"study {str(study)!r} is not finished: go on with {command}")
    name = str(study)
    if os.sep not in name and name not in ("", ".", ".."):
        for folder in (home() / "studies" / name, data_folder("studies") / name):
            if is_file(folder / "study.json"):
                return folder
    raise unknown("study", study, [*study_names(), "a folder with study.json"])


def study_names() -> list[str]:
    """Names of all studies in `$EXPLORER_HOME` and of those shipped."""
    found = [p.parent.name for root in (home() / "studies", data_folder("studies")) for p in root.glob("*/study.json")]
    return sorted(set(found))


def fingerprint(study: Study) -> str:
    """A short name of a study's exact contents."""
    return hashlib.sha256("".join(sorted(study.manifest.files.values())).encode()).hexdigest()[:12]


def _space(folder: Path, manifest: Manifest) -> Any:
    about = manifest.space
    if about.name == TABLE:
        return TableSpace.from_json(read_json(folder / TABLE_FILE), str(folder / TABLE_FILE))
    space: Any = SPACES[about.name]
    space = space.restrict(about.limits) if about.limits else space
    return space.for_images(about.channels, about.classes, about.size)


def _device(folder: Path, name: str) -> LayerDevice:
    if name in COUNTS:
        return load_device(name)
    path = folder / "devices" / f"{name}.json"
    return device_from(read_json(path), str(path))
