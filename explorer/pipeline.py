"""From a recipe to a study: the place that composes the rooms.

Each stage writes one whole file and is skipped where that file stands, so a run that was killed goes on with
`resume=True` to the same files. `study.json` comes last. Training measures no latency: costs come from device files.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from pydantic import Field

from explorer.architecture import Architecture, key_of
from explorer.config import Settings, parse, read_toml
from explorer.datasets import Images, load_dataset
from explorer.devices import COUNTS, device_json, load_device
from explorer.errors import InputError, unknown
from explorer.evaluators import (
    Predictor,
    PredictorConfig,
    ScoreConfig,
    Scored,
    SharedWeights,
    append_scores,
)
from explorer.evaluators.scoring import spread_sample
from explorer.files import sha256, write_json, write_text
from explorer.front import objectives
from explorer.generators import costs_of
from explorer.generators.pnag import PnagConfig, train_pnag
from explorer.protocols import Progress, silent
from explorer.search import search
from explorer.spaces import SPACES
from explorer.study import FORMAT, Study, open_study
from explorer.supernets import MobileSupernet, TrainConfig, train_supernet
from explorer.supernets.checkpoint import load_tensors, save_tensors
from explorer.supernets.sampling import largest, smallest

RECIPES = Path(__file__).parent / "recipes"


class SearchConfig(Settings):
    """The search whose fronts are re-measured with inherited weights."""

    evaluations: int = Field(20_000, ge=100)


class GeneratorConfig(PnagConfig):
    """PNAG's settings and how many architectures its evaluator sees."""

    evaluations: int = Field(20_000, ge=100)


class Recipe(Settings):
    """Everything that determines a study."""

    title: str = Field("", max_length=200)
    data: str
    space: str
    devices: list[str] = Field(default_factory=lambda: ["mobile", "cpu", "gpu", *COUNTS])
    seed: int = Field(0, ge=0)
    train_images: int | None = Field(None, ge=16)
    supernet: TrainConfig = Field(default_factory=TrainConfig)
    scores: ScoreConfig = Field(default_factory=ScoreConfig)
    predictor: PredictorConfig = Field(default_factory=PredictorConfig)
    search: SearchConfig = Field(default_factory=SearchConfig)
    pnag: GeneratorConfig = Field(default_factory=GeneratorConfig)


def recipe_names() -> list[str]:
    """Recipes in the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(recipe: str | Path, data: str | None = None) -> Recipe:
    """A recipe by name or TOML file; `data` replaces its images.

    Raises:
        InputError: unknown name, unreadable file, unknown key, unknown space, device or data set.
    """
    path = Path(recipe)
    if path.suffix != ".toml":
        path = RECIPES / f"{recipe}.toml"
        if str(recipe) not in recipe_names():
            raise unknown("recipe", recipe, [*recipe_names(), "a TOML file"])
    values = read_toml(path)
    if data is not None:
        values["data"] = data
        values["title"] = data
    checked = parse(Recipe, values, str(recipe))
    _ = SPACES[checked.space]
    for name in checked.devices:
        load_device(name)
    if len(set(checked.devices)) != len(checked.devices):
        raise InputError(f"{recipe}: devices = {checked.devices}: a device is named twice")
    return checked


def train(
    recipe: str | Path | Recipe, out: str | Path, data: str | None = None, resume: bool = False,
    progress: Progress = silent,
) -> Study:  # fmt: skip
    """Train a study: supernet, scores, predictor, fronts, generator.

    Args:
        recipe: name or TOML file.
        out: an empty or new folder; with `resume`, the folder of a run that was stopped.
        data: "folder:PATH" or a data set's name, instead of the recipe's.
        resume: go on where a run stopped; on an empty folder it starts.
        progress: reports every stage.

    Raises:
        InputError: bad recipe, unreadable images, `out` in use by another recipe.
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, data)
    out = Path(out).expanduser()
    images = load_dataset(recipe.data, recipe.seed, _image_size(recipe))
    _claim(out, recipe, resume)
    if (out / "study.json").exists():
        return open_study(out)
    return _Run(recipe, out, images.subset(recipe.train_images), progress).finish()


class _Run:
    """One training run; every method is a stage."""

    def __init__(self, recipe: Recipe, out: Path, images: Images, progress: Progress) -> None:
        self.recipe, self.out, self.images, self.progress = recipe, out, images, progress
        space: Any = SPACES[recipe.space]
        self.space = space.for_images(images.channels, len(images.classes), images.size)
        self.devices = [load_device(name) for name in recipe.devices]
        for device in self.devices:
            device.cost(self.space, self.space.sample(1, np.random.default_rng(0)))
        self.targets = [device for device in self.devices if device.unit == "ms"]

    def finish(self) -> Study:
        self.copy_devices()
        supernet = self.supernet()
        if os.environ.get("RANK", "0") != "0":  # under torchrun, the first process does the rest alone
            raise SystemExit(0)
        evaluator = SharedWeights(
            supernet, self.images, "val", self.recipe.scores.val_images, self.recipe.scores.calibration_images
        )
        sampled = self.scores(evaluator)
        predictor = self.predictor(sampled)
        scored = self.measure_fronts(evaluator, predictor)
        self.generator(predictor)
        self.write_fronts(scored)
        self.write_study(supernet, scored, predictor)
        (self.out / "checkpoint.safetensors").unlink(missing_ok=True)
        return open_study(self.out)

    def _once(self, name: str, make: Callable[[Path], Any]) -> Path:
        path = self.out / name
        if not path.exists():
            make(path)
        return path

    def copy_devices(self) -> None:
        for device in self.devices:
            if device.name not in COUNTS:
                self._once(f"devices/{device.name}.json", lambda p, d=device: write_json(p, device_json(d)))

    def supernet(self) -> MobileSupernet:
        checkpoint = self.out / "checkpoint.safetensors"

        def make(path: Path) -> None:
            trained = train_supernet(
                SPACES[self.recipe.space], self.images, self.recipe.supernet, self.recipe.seed, checkpoint,
                self.progress,
            )  # fmt: skip
            save_tensors(path, trained.state_dict())

        path = self._once("supernet.safetensors", make)
        supernet = MobileSupernet(self.space, self.images.mean, self.images.std)
        supernet.load_state_dict(load_tensors(path))
        return supernet.eval()

    def scores(self, evaluator: SharedWeights) -> Scored:
        macs = load_device("macs_m")
        codes = spread_sample(
            self.space, self.recipe.scores.architectures, lambda c: macs.cost(self.space, c),
            np.random.default_rng((self.recipe.seed, 2)),
        )  # fmt: skip
        path = self.out / "evaluations.csv"
        scored = append_scores(path, self.space, codes, evaluator, "sample", self.progress)
        rows = scored.source == "sample"
        return Scored(scored.codes[rows], scored.accuracy[rows], scored.source[rows])

    def predictor(self, scored: Scored) -> Predictor:
        path = self._once(
            "predictor.onnx",
            lambda p: Predictor.fit(self.space, scored, self.recipe.predictor, self.recipe.seed).save(p),
        )
        return Predictor.open(self.space, path)

    def measure_fronts(self, evaluator: SharedWeights, predictor: Predictor) -> Scored:
        """Search a front per target and measure networks spread along it: predictions flatter what is searched."""
        chosen = []
        each = self.recipe.scores.front_architectures // max(1, len(self.targets))
        for device in self.targets:
            front = search(
                self.space, predictor, [device], "memetic", self.recipe.search.evaluations, self.recipe.seed,
                self.progress,
            )  # fmt: skip
            rows = np.unique(np.linspace(0, len(front) - 1, each).round().astype(int)) if each else []
            chosen.append(front.codes[rows])
        codes = np.concatenate(chosen) if chosen else np.zeros((0, len(self.space.decisions)), np.int8)
        path = self.out / "evaluations.csv"
        return append_scores(path, self.space, codes, evaluator, "front", self.progress)

    def generator(self, predictor: Predictor) -> None:
        settings = self.recipe.pnag
        path = self.out / "generator-pnag.onnx"
        if path.exists() and path.with_suffix(".safetensors").exists():
            return
        train_pnag(
            self.space, predictor, self.devices, settings, self.recipe.seed, settings.evaluations, self.progress
        ).save(path)

    def write_fronts(self, scored: Scored) -> None:
        from explorer.front import nondominated

        for device in self.targets:
            costs = device.cost(self.space, scored.codes)
            rows = nondominated(scored.accuracy, costs[:, None])
            lines = [f"key,accuracy,{device.name}"]
            lines += [f"{key_of(self.space, scored.codes[i])},{scored.accuracy[i]:.6f},{costs[i]:.6f}" for i in rows]
            write_text(self.out / f"front-{device.name}.csv", "\n".join(lines) + "\n")

    def write_study(self, supernet: MobileSupernet, scored: Scored, predictor: Predictor) -> None:
        from explorer.card import card

        calibration = self.recipe.scores.calibration_images
        picked = {
            "best on validation": self._best(supernet, scored, predictor), "largest": largest(self.space),
            "smallest": smallest(self.space),
        }  # fmt: skip
        codes = np.array(list(picked.values()), np.int8)
        measured = {
            split: SharedWeights(supernet, self.images, split, calibration=calibration).evaluate(codes)
            for split in ("val", "test")
        }
        reported = [
            {"role": role, "key": Architecture(self.space, row).key, "val": float(val), "test": float(test)}
            for role, row, val, test in zip(picked, codes, measured["val"], measured["test"])
        ]
        costs = costs_of(self.space, self.devices, scored.codes)
        corner = 1.1 * objectives(scored.accuracy, costs).max(0)
        images, space = self.images, self.space
        manifest = {
            "format": FORMAT, "name": self._name(), "title": self.recipe.title or self._name(),
            "space": {
                "name": space.name, "channels": images.channels, "classes": len(images.classes), "size": images.size,
            },
            "data": {
                "name": images.name, "classes": list(images.classes), "channels": images.channels,
                "size": images.size, "train": len(images.train), "val": len(images.val), "test": len(images.test),
                "mean": list(images.mean), "std": list(images.std),
            },
            "devices": [device.name for device in self.devices], "seed": self.recipe.seed,
            "calibration_images": calibration,
            "reference": {d.name: [float(corner[0]), float(c)] for d, c in zip(self.devices, corner[1:])},
            "reported": reported, "versions": versions(),
        }  # fmt: skip
        write_text(self.out / "README.md", card(manifest, self.devices, scored, predictor, self._about_generator()))
        files = sorted(
            p.relative_to(self.out).as_posix()
            for p in self.out.rglob("*")
            if p.is_file() and p.name not in ("study.json", "checkpoint.safetensors") and not p.name.startswith(".")
        )
        manifest["files"] = {name: sha256(self.out / name) for name in files}
        write_json(self.out / "study.json", manifest)

    def _best(self, supernet: MobileSupernet, scored: Scored, predictor: Predictor) -> np.ndarray:
        """(d,) the most accurate network, chosen on the whole validation split among the ten that promise most
        and the largest.

        The highest of some hundred measurements is too high by chance, so measured and predicted accuracy are averaged
        first, and these few are measured again on all validation images.
        """
        promise = (scored.accuracy + predictor.evaluate(scored.codes)) / 2
        top = np.concatenate([scored.codes[np.argsort(-promise, kind="stable")[:10]], largest(self.space)[None]])
        calibration = self.recipe.scores.calibration_images
        return top[SharedWeights(supernet, self.images, "val", calibration=calibration).evaluate(top).argmax()]

    def _name(self) -> str:
        cleaned = "".join(c if c.isalnum() or c in "._-" else "-" for c in self.recipe.data.split("/")[-1])
        return cleaned.replace("folder-", "").strip("-._")[:64] or "study"

    def _about_generator(self) -> dict[str, Any]:
        from explorer.generators import BudgetGenerator

        predictor = Predictor.open(self.space, self.out / "predictor.onnx")
        return BudgetGenerator.open(self.space, self.out / "generator-pnag.onnx", predictor, self.devices).about


def versions() -> dict[str, str]:
    """Versions of what a study's numbers depend on."""
    names = ("pareto-explorer", "torch", "numpy", "onnxruntime", "lightning-fabric")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}


def _image_size(recipe: Recipe) -> int:
    """Images of a folder come at the size that the space computes with."""
    space: Any = SPACES[recipe.space]
    return int(max(space.resolutions))


def _claim(out: Path, recipe: Recipe, resume: bool) -> None:
    """Make `out` this recipe's folder, or refuse."""
    text = tomli_w.dumps(recipe.model_dump(exclude_none=True))
    path = out / "recipe.toml"
    if out.exists() and not out.is_dir():
        raise InputError(f"out {str(out)!r} is a file; expected a folder")
    contents = [p.name for p in out.iterdir() if not p.name.endswith(".tmp")] if out.is_dir() else []
    if contents and not resume:
        hint = "; add --resume to go on" if "recipe.toml" in contents else ""
        raise InputError(f"out folder {str(out)!r} is not empty{hint}")
    if contents and not path.exists():
        raise InputError(f"out folder {str(out)!r} holds files but no recipe.toml: it is no study to resume")
    if path.exists() and path.read_text(encoding="utf-8") != text:
        raise InputError(f"out folder {str(out)!r} belongs to another recipe (its recipe.toml differs)")
    write_text(path, text)
