"""From a recipe to a study.

Each stage writes one whole file and is skipped where that file stands, so a run that was killed goes on with
`resume=True` to the same files. `study.json` comes last. Training measures no latency: costs come from device files.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import tomli_w

from explorer.core.architecture import Architecture
from explorer.core.files import expanded
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
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and spread that every published network was trained with


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
    """A study in the making by a recipe: what images and published accuracies have in common.

    Attributes:
        source: what scores of the searched fronts are called in `evaluations.csv`.
    """

    source: str

    def __init__(self, recipe: Recipe, out: Path, progress: Progress) -> None:
        devices = [load_device(source) for source in recipe.devices]
        super().__init__(out, recipe.search_space, devices, progress)
        self.recipe = recipe

    def join(self) -> None:
        """What another process than the first one does: nothing, unless weights are trained."""

    def check_devices(self) -> None:
        """A stage: every device prices the space."""
        for device in self.devices:
            device.cost(self.space, self.space.sample(1, np.random.default_rng(0)))

    def sample(self) -> np.ndarray:
        """Architectures spread over the range of MACs."""
        macs, rng = load_device("macs_m"), np.random.default_rng((self.recipe.seed, 2))
        return spread_sample(self.space, self.recipe.scores.architectures, lambda c: macs.cost(self.space, c), rng)

    @property
    def rows(self) -> Scored:
        """What the predictor is fitted to."""
        raise NotImplementedError

    @property
    def evaluator(self) -> Evaluator:
        """What scores networks of the searched fronts."""
        raise NotImplementedError

    @cached_property
    def predictor(self) -> Predictor:
        """Fitted to `rows`, from its file where it stands."""
        config, seed = self.recipe.predictor, self.recipe.seed
        path = self.once(PREDICTOR, lambda p: Predictor.fit(self.space, self.rows, config, seed).save(p))
        return Predictor.open(self.space, path)

    @cached_property
    def found(self) -> list[Front]:
        """The searched fronts."""
        return searched_fronts(self.recipe, self.space, self.predictor, self.devices, self.progress)

    @cached_property
    def scored(self) -> Scored:
        """All evaluations, after networks spread along each searched front were scored: predictions flatter them."""
        chosen = [np.zeros((0, len(self.space.decisions)), np.int8)]
        each = self.recipe.scores.front_architectures // max(1, len(self.targets))
        for front in self.found[: len(self.targets)] if each else []:
            chosen.append(front.codes[np.unique(np.linspace(0, len(front) - 1, each).round().astype(int))])
        codes = np.concatenate(chosen)
        return append_scores(self.out / EVALUATIONS, self.space, codes, self.evaluator, self.source, self.progress)

    def write_fronts(self) -> None:
        """A stage: the searched fronts."""
        self.write_searched_fronts(self.found, self.scored)

    def generators(self) -> None:
        """A stage: every generator of the recipe."""
        self.train_generators(self.recipe, self.recipe.generators, self.predictor, self.found, self.judge)

    def judge(self, method: str) -> object:
        """What a method learns from beside the predictor."""
        return None

    def write(self) -> None:
        """The last stage: fronts, card and manifest."""
        write_study(self.out, self.space, self.about(), self.devices, self.scored, self.predictor)

    def about(self) -> About:
        """What the study says of itself."""
        data, space, name = self.data(), self.space, self._name()
        return About(
            name=name, title=self.recipe.title or name, data=data, seed=self.recipe.seed,
            space=SpaceOfStudy(
                name=space.name, channels=data.channels, classes=len(data.classes), size=data.size,
                limits={name: list(options) for name, options in space.limits},
            ),
            calibration_images=self.recipe.scores.calibration_images, reported=self.reported(),
        )  # fmt: skip

    def data(self) -> DataOfStudy:
        """Its images."""
        raise NotImplementedError

    def reported(self) -> list[Reported]:
        """Networks of the card whose accuracy was measured on test images."""
        return []

    def _name(self) -> str:
        published = self.recipe.data.startswith(PUBLISHED)
        data = self.recipe.title.lower() if published else self.recipe.data.split("/")[-1]
        cleaned = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in data)
        return cleaned.replace("folder-", "").strip("-._")[:64] or "study"


class FromPublished(Training):
    """A study of published accuracies: a predictor fitted to them stands for images and supernet."""

    source = "predicted"

    def __init__(self, recipe: Recipe, out: Path, rows: Scored, progress: Progress) -> None:
        super().__init__(recipe, out, progress)
        self._rows = rows

    def stages(self) -> list[Stage]:
        """No weights: the sample is scored by the predictor."""
        return [self.check_devices, self.write_devices, self.score, self.write_fronts, self.generators, self.write]

    @property
    def rows(self) -> Scored:
        """The published ones."""
        return self._rows

    @property
    def evaluator(self) -> Evaluator:
        """The predictor."""
        return self.predictor

    def score(self) -> None:
        """A stage: predictions of the sample."""
        append_scores(self.out / EVALUATIONS, self.space, self.sample(), self.predictor, self.source, self.progress)

    def data(self) -> DataOfStudy:
        """As much as is known of the images that published networks were trained on."""
        gene, space = resolution_gene(self.space), self.space
        sizes = space.resolutions if gene is None else space.records[gene].options
        return DataOfStudy(
            name=self.recipe.data, classes=[f"class {i}" for i in range(space.classes)], channels=space.channels,
            size=int(max(sizes)), train=0, val=len(self.rows.codes), test=0, mean=list(IMAGENET[0]),
            std=list(IMAGENET[1]),
        )  # fmt: skip


class FromImages(Training):
    """A study of one's own images."""

    source = "front"

    def __init__(self, recipe: Recipe, out: Path, images: Images, progress: Progress) -> None:
        super().__init__(recipe, out, progress)
        self.images = images
        self.space = self.space.for_images(images.channels, len(images.classes), images.size)

    def stages(self) -> list[Stage]:
        """Weights first; they are all that other processes help with."""
        return [
            self.check_devices, self.write_devices, self.train_weights, self.score, self.write_fronts, self.generators,
            self.write, self.clean,
        ]  # fmt: skip

    def join(self) -> None:
        """Train the weights together with the first process."""
        if not (self.out / SUPERNET).exists():
            self._trained()

    def _trained(self) -> Supernet:
        images = images_for_weights(self.recipe, self.space, self.images)
        return train_supernet(
            self.recipe.search_space, images, self.recipe.supernet, self.recipe.seed, self.out / CHECKPOINT,
            self.progress,
        )  # fmt: skip

    def train_weights(self) -> None:
        """A stage: the supernet."""
        _ = self.supernet

    @cached_property
    def supernet(self) -> Supernet:
        """Trained, or from its file where that stands; in evaluation mode."""
        return self._opened(self.once(SUPERNET, lambda path: save_tensors(path, self._trained().state_dict())))

    def _opened(self, path: Path) -> Supernet:
        supernet = make_supernet(self.space, self.images.mean, self.images.std)
        supernet.load_state_dict(load_tensors(path))
        return supernet.eval()

    @property
    def evaluator(self) -> SharedWeights:
        """Inherited weights on validation images."""
        scores = self.recipe.scores
        return SharedWeights(self.supernet, self.images, "val", scores.val_images, scores.calibration_images)

    def score(self) -> None:
        """A stage: the sample, and the predictor that is fitted to it."""
        _ = self.rows
        _ = self.predictor

    @cached_property
    def rows(self) -> Scored:
        """The sample, scored."""
        path = self.out / EVALUATIONS
        scored = append_scores(path, self.space, self.sample(), self.evaluator, "sample", self.progress)
        rows = scored.source == "sample"
        return Scored(scored.codes[rows], scored.accuracy[rows], scored.source[rows])

    def judge(self, method: str) -> object:
        """The training images that the weights have not seen, through a supernet of its own."""
        if method not in judged_methods(self.recipe, self.space):
            return None
        return judge(self.recipe, method, self.space, self.images, self._opened(self.out / SUPERNET))

    def data(self) -> DataOfStudy:
        """The images."""
        images = self.images
        return DataOfStudy(
            name=images.name, classes=list(images.classes), channels=images.channels, size=images.size,
            train=len(images.train), val=len(images.val), test=len(images.test), mean=list(images.mean),
            std=list(images.std),
        )  # fmt: skip

    def reported(self) -> list[Reported]:
        """Three networks, measured on all validation and, once, on all test images."""
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
        """(d,) the most accurate network, chosen on the whole validation split among the ten that promise most
        and the largest.

        The highest of some hundred measurements is too high by chance, so measured and predicted accuracy are averaged
        first, and these few are measured again on all validation images.
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
        """A stage behind the last one: the checkpoint goes."""
        (self.out / CHECKPOINT).unlink(missing_ok=True)
