"""Training a study from a recipe.

Each stage writes a complete file and is skipped if that file exists, so a run that was killed can be resumed with
`resume=True` and produces the same files. `study.json` is written last. Training measures no latency: costs come from
device files.
"""

from __future__ import annotations

import hashlib
import os
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import tomli_w

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.files import expanded, write_text
from explorer.core.front import Front
from explorer.core.protocols import Evaluator, Progress, silent
from explorer.data import Images, load_dataset
from explorer.devices import load_device
from explorer.evaluators import Predictor, Scored, SharedWeights, append_scores, read_published
from explorer.evaluators.scoring import spread_sample
from explorer.spaces.base import resolution_gene
from explorer.study.judges import images_for_weights, judge, judged_methods
from explorer.study.lock import locked, reserve_folder
from explorer.study.making import Making, Stage, searched_fronts
from explorer.study.manifest import EVALUATIONS, PREDICTOR, STUDY, SUPERNET, About, DataOfStudy, Reported, SpaceOfStudy
from explorer.study.opening import open_study
from explorer.study.recipe import PUBLISHED, Recipe, load_recipe
from explorer.study.study import Study
from explorer.study.write import write_study
from explorer.supernets import Supernet, make_supernet, train_supernet
from explorer.supernets.checkpoint import load_tensors, save_tensors
from explorer.supernets.sampling import largest, smallest

CHECKPOINT = "checkpoint.safetensors"
IMAGES = ".images"  # fingerprint of the images of a run that is not finished
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and std that all published networks were trained with


def train(
    recipe: str | Path | Recipe, out: str | Path, data: str | None = None, resume: bool = False,
    progress: Progress = silent,
) -> Study:  # fmt: skip
    """Train a study: supernet, evaluations, predictor, searched fronts and generators.

    Under `torchrun`, all processes train the supernet together. The first process (rank 0) writes `out`, which all
    processes must be able to read, and runs the remaining stages alone; the others exit after the supernet training.

    Args:
        recipe: a `Recipe`, the name of a recipe in the package, or the path of a TOML file.
        out: an empty or new folder or, with `resume`, the folder of a run that was stopped.
        data: "folder:PATH" or a data set's name, instead of the recipe's data.
        resume: continue a run that was stopped; in an empty folder a new run starts.
        progress: reports every stage.

    Raises:
        InputError: invalid recipe, unreadable images, or `out` is in use by another recipe or process.
        SystemExit: in the other processes under `torchrun`, when they are done.
    """
    first = os.environ.get("RANK", "0") == "0"
    progress = progress if first else silent
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, data)
    out = expanded(out)
    if recipe.data.startswith(PUBLISHED):
        rows = read_published(recipe.data.removeprefix(PUBLISHED), recipe.search_space)
        make: Callable[[], Training] = lambda: FromPublished(recipe, out, rows, progress)  # noqa: E731
    else:
        images = load_dataset(recipe.data, recipe.seed, max(recipe.search_space.resolutions))
        make = lambda: FromImages(recipe, out, images.subset(recipe.train_images), progress)  # noqa: E731
    if not first:
        if not (out / STUDY).exists():
            make().join()
        raise SystemExit(0)
    reserve_folder(out, tomli_w.dumps(recipe.model_dump(exclude_none=True)), resume)
    if (out / STUDY).exists():
        return open_study(out)
    with locked(out):
        return make().finish()


class Training(Making):
    """Base class of training by a recipe, from images or from published accuracies.

    Attributes:
        source: value of the column `source` in `evaluations.csv` for networks of the searched fronts.
    """

    source: str

    def __init__(self, recipe: Recipe, out: Path, progress: Progress) -> None:
        devices = [load_device(source) for source in recipe.devices]
        super().__init__(out, recipe.search_space, devices, progress)
        self.recipe = recipe

    def join(self) -> None:
        """Run the part of a process other than the first one; nothing, unless weights are trained."""

    def sample(self) -> np.ndarray:
        """Sample the architectures to evaluate, spread over the range of MACs."""
        macs, rng = load_device("macs_m"), np.random.default_rng((self.recipe.seed, 2))
        return spread_sample(self.space, self.recipe.scores.architectures, lambda c: macs.cost(self.space, c), rng)

    @property
    @abstractmethod
    def rows(self) -> Scored:
        """The evaluated architectures that the predictor is fitted to."""

    @property
    @abstractmethod
    def evaluator(self) -> Evaluator:
        """The evaluator of networks from the searched fronts."""

    @cached_property
    def predictor(self) -> Predictor:
        """The predictor, fitted to `rows`, or read from its file if that exists."""
        config, seed = self.recipe.predictor, self.recipe.seed
        path = self.once(PREDICTOR, lambda p: Predictor.fit(self.space, self.rows, config, seed).save(p))
        return Predictor.open(self.space, path)

    @cached_property
    def found(self) -> list[Front]:
        """The searched fronts."""
        return searched_fronts(self.recipe, self.space, self.predictor, self.devices, self.progress)

    @cached_property
    def scored(self) -> Scored:
        """All evaluations, including those of networks along each searched front, which are computed here.

        These networks are evaluated because a search favours architectures whose predicted accuracy is too high.
        """
        chosen = [np.zeros((0, len(self.space.decisions)), np.int8)]
        each = self.recipe.scores.front_architectures // max(1, len(self.targets))
        for front in self.found[: len(self.targets)] if each else []:
            chosen.append(front.codes[np.unique(np.linspace(0, len(front) - 1, each).round().astype(int))])
        codes = np.concatenate(chosen)
        return append_scores(self.out / EVALUATIONS, self.space, codes, self.evaluator, self.source, self.progress)

    def write_fronts(self) -> None:
        """Stage: search and write the fronts."""
        self.write_searched_fronts(self.found, self.scored)

    def generators(self) -> None:
        """Stage: train every generator of the recipe."""
        self.train_generators(self.recipe, self.recipe.generators, self.predictor, self.found, self.judge)

    def judge(self, method: str) -> object:
        """Construct a method's training signal in addition to the predictor, None if it has none."""
        return None

    def write(self) -> None:
        """Stage: write fronts, card and manifest."""
        write_study(self.out, self.space, self.about(), self.devices, self.scored, self.predictor)

    def about(self) -> About:
        """Collect the study's metadata for the manifest."""
        data, space, name = self.data(), self.space, self._name()
        return About(
            name=name, title=self.recipe.title or name, data=data, seed=self.recipe.seed,
            space=SpaceOfStudy(
                name=space.name, channels=data.channels, classes=len(data.classes), size=data.size,
                limits={name: list(options) for name, options in space.limits},
            ),
            calibration_images=self.recipe.scores.calibration_images, reported=self.reported(),
        )  # fmt: skip

    @abstractmethod
    def data(self) -> DataOfStudy:
        """Describe the study's images for the manifest."""

    def reported(self) -> list[Reported]:
        """Measure the networks that the card reports with their test accuracy."""
        return []

    def _name(self) -> str:
        published = self.recipe.data.startswith(PUBLISHED)
        data = self.recipe.title.lower() if published else self.recipe.data.split("/")[-1]
        cleaned = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in data)
        return cleaned.replace("folder-", "").strip("-._")[:64] or "study"


class FromPublished(Training):
    """Training from published accuracies: a predictor fitted to them replaces images and supernet."""

    source = "predicted"

    def __init__(self, recipe: Recipe, out: Path, rows: Scored, progress: Progress) -> None:
        super().__init__(recipe, out, progress)
        self._rows = rows

    def stages(self) -> list[Stage]:
        """List the stages; no weights are trained, the sample is evaluated by the predictor."""
        return [self.check_devices, self.write_devices, self.score, self.write_fronts, self.generators, self.write]

    @property
    def rows(self) -> Scored:
        """The published accuracies."""
        return self._rows

    @property
    def evaluator(self) -> Evaluator:
        """The predictor."""
        return self.predictor

    def score(self) -> None:
        """Stage: write the predicted accuracies of the sample."""
        append_scores(self.out / EVALUATIONS, self.space, self.sample(), self.predictor, self.source, self.progress)

    def data(self) -> DataOfStudy:
        """Describe what is known of the images that the published networks were trained on."""
        gene, space = resolution_gene(self.space), self.space
        sizes = space.resolutions if gene is None else space.records[gene].options
        return DataOfStudy(
            name=self.recipe.data, classes=[f"class {i}" for i in range(space.classes)], channels=space.channels,
            size=int(max(sizes)), train=0, val=len(self.rows.codes), test=0, mean=list(IMAGENET[0]),
            std=list(IMAGENET[1]),
        )  # fmt: skip


class FromImages(Training):
    """Training from images: a supernet is trained, and networks are evaluated with its weights."""

    source = "front"

    def __init__(self, recipe: Recipe, out: Path, images: Images, progress: Progress) -> None:
        super().__init__(recipe, out, progress)
        self.images = images
        self.space = self.space.for_images(images.channels, len(images.classes), images.size)

    def stages(self) -> list[Stage]:
        """List the stages; further processes take part only in the training of the weights."""
        return [
            self.check_devices, self.write_devices, self.check_images, self.train_weights, self.score,
            self.write_fronts, self.generators,
            self.write, self.clean,
        ]  # fmt: skip

    def check_images(self) -> None:
        """Stage: keep a fingerprint of the images, and compare it when a run is resumed.

        With a photograph more or less, images that were trained on would be among those of the test.

        Raises:
            InputError: the images have changed since the run began.
        """
        now = fingerprint_of(self.images)
        if self.once(IMAGES, lambda path: write_text(path, now)).read_text(encoding="utf-8") != now:
            raise InputError(
                f"the images of {self.recipe.data!r} have changed since the run in {str(self.out)!r} began, so its "
                "split into training, validation and test would not hold; restore them, or start in another folder"
            )

    def join(self) -> None:
        """Train the supernet together with the first process, unless it is already trained."""
        if not (self.out / SUPERNET).exists():
            self._trained()

    def _trained(self) -> Supernet:
        images = images_for_weights(self.recipe, self.space, self.images)
        return train_supernet(
            self.recipe.search_space, images, self.recipe.supernet, self.recipe.seed, self.out / CHECKPOINT,
            self.progress,
        )  # fmt: skip

    def train_weights(self) -> None:
        """Stage: train the supernet."""
        _ = self.supernet

    @cached_property
    def supernet(self) -> Supernet:
        """The supernet in evaluation mode; trained, or read from its file if that exists."""
        return self._opened(self.once(SUPERNET, lambda path: save_tensors(path, self._trained().state_dict())))

    def _opened(self, path: Path) -> Supernet:
        supernet = make_supernet(self.space, self.images.mean, self.images.std)
        supernet.load_state_dict(load_tensors(path))
        return supernet.eval()

    @property
    def evaluator(self) -> SharedWeights:
        """The evaluator: accuracy with inherited weights on validation images."""
        scores = self.recipe.scores
        return SharedWeights(self.supernet, self.images, "val", scores.val_images, scores.calibration_images)

    def score(self) -> None:
        """Stage: evaluate the sample and fit the predictor to it."""
        _ = self.rows
        _ = self.predictor

    @cached_property
    def rows(self) -> Scored:
        """The evaluated sample."""
        path = self.out / EVALUATIONS
        scored = append_scores(path, self.space, self.sample(), self.evaluator, "sample", self.progress)
        rows = scored.source == "sample"
        return Scored(scored.codes[rows], scored.accuracy[rows], scored.source[rows])

    def judge(self, method: str) -> object:
        """Construct a method's judge from the held-out training images and its own copy of the supernet."""
        if method not in judged_methods(self.recipe, self.space):
            return None
        return judge(self.recipe, method, self.space, self.images, self._opened(self.out / SUPERNET))

    def data(self) -> DataOfStudy:
        """Describe the study's images for the manifest, as they were loaded."""
        images = self.images
        return DataOfStudy(
            name=images.name, classes=list(images.classes), channels=images.channels, size=images.size,
            train=len(images.train), val=len(images.val), test=len(images.test), mean=list(images.mean),
            std=list(images.std),
        )  # fmt: skip

    def reported(self) -> list[Reported]:
        """Measure the best, largest and smallest network on all validation and, once, on all test images."""
        calibration = self.recipe.scores.calibration_images
        picked = {
            "best on validation": self._best(), "largest": largest(self.space), "smallest": smallest(self.space)
        }  # fmt: skip
        codes = np.array(list(picked.values()), np.int8)
        val, test = (
            SharedWeights(self.supernet, self.images, split, calibration=calibration).evaluate(codes)
            for split in ("val", "test")
        )
        return [
            Reported(role=role, key=Architecture(self.space, row).key, val=float(v), test=float(t))
            for role, row, v, t in zip(picked, codes, val, test)
        ]

    def _best(self) -> np.ndarray:
        """Choose the most accurate network, (d,), among the ten most promising ones and the largest.

        The maximum of hundreds of measurements is biased upwards by chance. So networks are first ranked by the mean of
        measured and predicted accuracy, and only the best of them are measured again on all validation images.
        """
        scored = self.scored
        promise = (scored.accuracy + self.predictor.evaluate(scored.codes)) / 2
        top = np.concatenate([scored.codes[np.argsort(-promise, kind="stable")[:10]], largest(self.space)[None]])
        calibration = self.recipe.scores.calibration_images
        best: np.ndarray = top[
            SharedWeights(self.supernet, self.images, "val", calibration=calibration).evaluate(top).argmax()
        ]
        return best

    def clean(self) -> None:
        """Stage after the study is complete: delete the files that were needed to resume."""
        for name in (CHECKPOINT, IMAGES):
            (self.out / name).unlink(missing_ok=True)


def fingerprint_of(images: Images) -> str:
    """Return a hash of all images and labels in their splits, and of the class names."""
    found = hashlib.sha256("\n".join(images.classes).encode())
    for split in (images.train, images.val, images.test):
        found.update(np.ascontiguousarray(split.images.numpy()).data)
        found.update(np.ascontiguousarray(split.labels.numpy()).data)
    return found.hexdigest()
