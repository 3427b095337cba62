"""From a recipe to a study: the place that composes the rooms.

Each stage writes one whole file and is skipped where that file stands, so a run that was killed goes on with
`resume=True` to the same files. `study.json` comes last. Training measures no latency: costs come from device files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from explorer.core.architecture import Architecture
from explorer.core.files import expanded, write_json
from explorer.core.front import Front
from explorer.core.protocols import Progress, silent
from explorer.data.datasets import Images, load_dataset
from explorer.devices import COUNTS, device_json, load_device
from explorer.evaluators import Predictor, Scored, SharedWeights, append_scores, read_published
from explorer.evaluators.scoring import spread_sample
from explorer.generators.methods import TRAINERS
from explorer.generators.sgnas import SupernetSignal
from explorer.searches import fronts
from explorer.spaces import SPACES, UnifiedSpace
from explorer.study import Study, open_study
from explorer.study.lock import claim, sole
from explorer.study.manifest import FORMAT, SUPERNET
from explorer.study.recipe import PUBLISHED, Recipe, load_recipe
from explorer.study.write import seal, write_searched
from explorer.supernets import Supernet, make_supernet, train_supernet
from explorer.supernets.checkpoint import load_tensors, save_tensors
from explorer.supernets.sampling import largest, smallest


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

    Under `torchrun` all processes train the supernet together; the first one holds `out`, which all of them can read,
    and does the rest alone, and the others then end (`SystemExit`).

    Raises:
        InputError: bad recipe, unreadable images, `out` in use by another recipe or process.
    """
    first = os.environ.get("RANK", "0") == "0"
    progress = progress if first else silent
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, data)
    out = expanded(out)
    if recipe.data.startswith(PUBLISHED):
        rows = read_published(recipe.data.removeprefix(PUBLISHED), recipe.search_space)
        make: Callable[[], _Run] = lambda: _PublishedRun(recipe, out, rows, progress)  # noqa: E731
    else:
        images = load_dataset(recipe.data, recipe.seed, _image_size(recipe))
        make = lambda: _TrainedRun(recipe, out, images.subset(recipe.train_images), progress)  # noqa: E731
    if not first:
        if not (out / "study.json").exists():
            make().join()
        raise SystemExit(0)
    claim(out, tomli_w.dumps(recipe.model_dump(exclude_none=True)), resume)
    if (out / "study.json").exists():
        return open_study(out)
    with sole(out):
        return make().finish()


class _Run:
    """One training run; every method is a stage."""

    def __init__(self, recipe: Recipe, out: Path, space: Any, progress: Progress) -> None:
        self.recipe, self.out, self.space, self.progress = recipe, out, space, progress
        self.devices = [load_device(source) for source in recipe.devices]
        for device in self.devices:
            device.cost(self.space, self.space.sample(1, np.random.default_rng(0)))
        self.targets = [device for device in self.devices if device.unit == "ms"]

    def finish(self) -> Study:
        raise TypeError(f"{type(self).__name__} has no stages")

    def join(self) -> None:
        """What another process than the first one does: nothing, unless the run trains weights."""

    def _once(self, name: str, make: Callable[[Path], Any]) -> Path:
        path = self.out / name
        if not path.exists():
            make(path)
        return path

    def copy_devices(self) -> None:
        for device in self.devices:
            if device.name not in COUNTS:
                self._once(f"devices/{device.name}.json", lambda p, d=device: write_json(p, device_json(d)))

    def sample(self) -> np.ndarray:
        """Architectures spread over the range of MACs."""
        macs, rng = load_device("macs_m"), np.random.default_rng((self.recipe.seed, 2))
        return spread_sample(self.space, self.recipe.scores.architectures, lambda c: macs.cost(self.space, c), rng)

    def predictor(self, scored: Scored) -> Predictor:
        path = self._once(
            "predictor.onnx",
            lambda p: Predictor.fit(self.space, scored, self.recipe.predictor, self.recipe.seed).save(p),
        )
        return Predictor.open(self.space, path)

    def fronts(self, predictor: Predictor) -> list[Front]:
        settings = self.recipe.search
        return fronts(self.space, predictor, self.targets, settings.evaluations, self.recipe.seed, self.progress)

    def score_fronts(self, evaluator: Any, found: Sequence[Front], source: str) -> Scored:
        """Score networks spread along each target's front: predictions flatter what is searched."""
        chosen = [np.zeros((0, len(self.space.decisions)), np.int8)]
        each = self.recipe.scores.front_architectures // max(1, len(self.targets))
        for front in found[: len(self.targets)] if each else []:
            chosen.append(front.codes[np.unique(np.linspace(0, len(front) - 1, each).round().astype(int))])
        codes = np.concatenate(chosen)
        return append_scores(self.out / "evaluations.csv", self.space, codes, evaluator, source, self.progress)

    def write_searched(self, found: Sequence[Front], scored: Scored) -> None:
        for front in found[: len(self.targets)]:
            write_searched(self.out, front, scored)

    def train_generators(self, predictor: Predictor, found: Sequence[Front]) -> None:
        known = np.concatenate([front.codes for front in found])
        for name in self.recipe.generators:
            path = self.out / f"generator-{name}.onnx"
            if not (path.exists() and path.with_suffix(".safetensors").exists()):
                signal = {"signal": self.signal()} if name == "sgnas" else {}
                TRAINERS[name].train(
                    self.space, predictor, self.devices, getattr(self.recipe, name), self.recipe.seed, self.progress,
                    known, **signal,
                ).save(path)  # fmt: skip

    def signal(self) -> SupernetSignal | None:
        """What SGNAS learns from: a supernet and images where there are such, else the predictor."""
        return None

    def write_study(self, scored: Scored, predictor: Predictor, about_data: dict[str, Any],
                    reported: Sequence[dict[str, Any]]) -> Study:  # fmt: skip
        """Fronts, card and manifest, which comes last."""
        space = self.space
        manifest = {
            "format": FORMAT, "name": self._name(), "title": self.recipe.title or self._name(),
            "space": {
                "name": space.name, "channels": about_data["channels"], "classes": len(about_data["classes"]),
                "size": about_data["size"], "limits": {name: list(options) for name, options in space.limits},
            },
            "data": about_data, "seed": self.recipe.seed,
            "calibration_images": self.recipe.scores.calibration_images, "reported": list(reported),
        }  # fmt: skip
        seal(self.out, space, manifest, self.devices, scored, predictor)
        return open_study(self.out)

    def _name(self) -> str:
        published = self.recipe.data.startswith(PUBLISHED)
        data = self.recipe.title.lower() if published else self.recipe.data.split("/")[-1]
        cleaned = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in data)
        return cleaned.replace("folder-", "").strip("-._")[:64] or "study"


class _PublishedRun(_Run):
    """A study of published accuracies: a predictor fitted to them stands for images and supernet."""

    def __init__(self, recipe: Recipe, out: Path, rows: Scored, progress: Progress) -> None:
        super().__init__(recipe, out, recipe.search_space, progress)
        self.rows = rows

    def finish(self) -> Study:
        self.copy_devices()
        predictor = self.predictor(self.rows)
        append_scores(self.out / "evaluations.csv", self.space, self.sample(), predictor, "predicted", self.progress)
        found = self.fronts(predictor)
        scored = self.score_fronts(predictor, found, "predicted")
        self.write_searched(found, scored)
        self.train_generators(predictor, found)
        about = {
            "name": self.recipe.data, "classes": [f"class {i}" for i in range(self.space.classes)],
            "channels": self.space.channels, "size": int(max(self.space.decisions.get("r", self.space.resolutions))),
            "train": 0, "val": len(self.rows.codes), "test": 0, "mean": list(IMAGENET[0]), "std": list(IMAGENET[1]),
        }  # fmt: skip
        return self.write_study(scored, predictor, about, [])


class _TrainedRun(_Run):
    """A study of one's own images."""

    def __init__(self, recipe: Recipe, out: Path, images: Images, progress: Progress) -> None:
        space = recipe.search_space.for_images(images.channels, len(images.classes), images.size)
        super().__init__(recipe, out, space, progress)
        self.images = images

    def finish(self) -> Study:
        self.copy_devices()
        supernet = self.supernet()
        evaluator = SharedWeights(
            supernet, self.images, "val", self.recipe.scores.val_images, self.recipe.scores.calibration_images
        )
        sampled = self.scores(evaluator)
        predictor = self.predictor(sampled)
        found = self.fronts(predictor)
        scored = self.score_fronts(evaluator, found, "front")
        self.write_searched(found, scored)
        self.train_generators(predictor, found)
        images = self.images
        about = {
            "name": images.name, "classes": list(images.classes), "channels": images.channels, "size": images.size,
            "train": len(images.train), "val": len(images.val), "test": len(images.test), "mean": list(images.mean),
            "std": list(images.std),
        }  # fmt: skip
        study = self.write_study(scored, predictor, about, self.reported(supernet, scored, predictor))
        (self.out / "checkpoint.safetensors").unlink(missing_ok=True)
        return study

    def join(self) -> None:
        if not (self.out / SUPERNET).exists():
            self._train()

    def _train(self) -> Supernet:
        return train_supernet(
            self.recipe.search_space, self.weight_images(), self.recipe.supernet, self.recipe.seed,
            self.out / "checkpoint.safetensors", self.progress,
        )  # fmt: skip

    def supernet(self) -> Supernet:
        path = self._once(SUPERNET, lambda path: save_tensors(path, self._train().state_dict()))
        supernet = make_supernet(self.space, self.images.mean, self.images.std)
        supernet.load_state_dict(load_tensors(path))
        return supernet.eval()

    def weight_images(self) -> Images:
        """What the supernet is trained on: a generator that learns through it has the rest of the training images."""
        if not self._through_weights():
            return self.images
        kept = round((1 - self.recipe.sgnas.held_out) * len(self.images.train))
        return replace(self.images, train=self.images.train.take(slice(kept)))

    def signal(self) -> SupernetSignal | None:
        """The held-out training images, through the supernet."""
        if not self._through_weights():
            return None
        rest = self.images.train.take(slice(len(self.weight_images().train), None))
        return SupernetSignal(self.supernet(), rest.images, rest.labels, self.recipe.sgnas.images, self.recipe.seed)

    def _through_weights(self) -> bool:
        return "sgnas" in self.recipe.generators and isinstance(self.space, UnifiedSpace)

    def scores(self, evaluator: SharedWeights) -> Scored:
        path = self.out / "evaluations.csv"
        scored = append_scores(path, self.space, self.sample(), evaluator, "sample", self.progress)
        rows = scored.source == "sample"
        return Scored(scored.codes[rows], scored.accuracy[rows], scored.source[rows])

    def reported(self, supernet: Supernet, scored: Scored, predictor: Predictor) -> list[dict[str, Any]]:
        """The networks of the card, measured on all validation and, once, on all test images."""
        calibration = self.recipe.scores.calibration_images
        picked = {
            "best on validation": self._best(supernet, scored, predictor), "largest": largest(self.space),
            "smallest": smallest(self.space),
        }  # fmt: skip
        codes = np.array(list(picked.values()), np.int8)
        val, test = (
            SharedWeights(supernet, self.images, split, calibration=calibration).evaluate(codes)
            for split in ("val", "test")
        )
        return [
            {"role": role, "key": Architecture(self.space, row).key, "val": float(v), "test": float(t)}
            for role, row, v, t in zip(picked, codes, val, test)
        ]

    def _best(self, supernet: Supernet, scored: Scored, predictor: Predictor) -> np.ndarray:
        """(d,) the most accurate network, chosen on the whole validation split among the ten that promise most
        and the largest.

        The highest of some hundred measurements is too high by chance, so measured and predicted accuracy are averaged
        first, and these few are measured again on all validation images.
        """
        promise = (scored.accuracy + predictor.evaluate(scored.codes)) / 2
        top = np.concatenate([scored.codes[np.argsort(-promise, kind="stable")[:10]], largest(self.space)[None]])
        calibration = self.recipe.scores.calibration_images
        return top[SharedWeights(supernet, self.images, "val", calibration=calibration).evaluate(top).argmax()]


IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and spread that every published network was trained with


def _image_size(recipe: Recipe) -> int:
    """Images of a folder come at the size that the space computes with."""
    space: Any = SPACES[recipe.space]
    return int(max(space.resolutions))
