"""Training by a recipe: the stages that every training has, and training from published accuracies."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np

from explorer.core.front import Front
from explorer.core.protocols import Evaluator, Progress
from explorer.devices import load_device
from explorer.evaluators import Predictor, Scored, append_scores
from explorer.evaluators.scoring import spread_sample
from explorer.spaces.base import resolution_gene
from explorer.study.making import Making, Stage, searched_fronts
from explorer.study.manifest import EVALUATIONS, PREDICTOR, About, DataOfStudy, Reported, SpaceOfStudy
from explorer.study.recipe import PUBLISHED, Recipe, name_of_data
from explorer.study.starting import IMAGENET, check_start
from explorer.study.write import write_study


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
            start=check_start(self.recipe.start, self.recipe.search_space),
        )  # fmt: skip

    @abstractmethod
    def data(self) -> DataOfStudy:
        """Describe the study's images for the manifest."""

    def reported(self) -> list[Reported]:
        """Measure the networks that the card reports with their test accuracy."""
        return []

    def _name(self) -> str:
        published = self.recipe.data.startswith(PUBLISHED)
        data = self.recipe.title.lower() if published else name_of_data(self.recipe.data)
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
