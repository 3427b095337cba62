"""Training by a recipe from images: a supernet is trained, and networks are evaluated with its weights."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.files import write_text
from explorer.core.protocols import Hear, Progress, deaf
from explorer.data import Images
from explorer.data.datasets import READING
from explorer.evaluators import Scored, SharedWeights, append_scores
from explorer.study.eight_bits import check_space, measure_in_eight_bits, networks_to_measure
from explorer.study.judges import images_for_weights, judge, judged_methods
from explorer.study.making import Stage
from explorer.study.manifest import EVALUATIONS, PHOTOGRAPHS, SUPERNET, DataOfStudy, Reported
from explorer.study.packed import write_photographs
from explorer.study.recipe import Recipe
from explorer.study.starting import licence_of, started
from explorer.study.training import Training
from explorer.supernets import Supernet, make_supernet, train_supernet
from explorer.supernets.checkpoint import load_tensors, save_tensors
from explorer.supernets.sampling import largest, smallest

CHECKPOINT = "checkpoint.safetensors"
IMAGES = ".images"  # fingerprint of the images of a run that is not finished


class FromImages(Training):
    """Training from images: a supernet is trained, and networks are evaluated with its weights."""

    source = "front"

    def __init__(self, recipe: Recipe, out: Path, images: Images, progress: Progress, hear: Hear = deaf) -> None:
        super().__init__(recipe, out, progress)
        self.images, self.hear = images, hear
        self.space = self.space.for_images(images.channels, len(images.classes), images.size)

    def stages(self) -> list[Stage]:
        """List the stages; further processes take part only in the training of the weights."""
        return [
            self.check_devices, self.write_devices, self.check_images, self.train_weights, self.score,
            self.write_fronts, self.eight_bits, self.generators, self.pack, self.write, self.clean,
        ]  # fmt: skip

    def check_images(self) -> None:
        """Stage: keep a fingerprint of the images, and compare it when a run is resumed.

        With a photograph more or less, images that were trained on would be among those of the test.

        Raises:
            InputError: the images have changed since the run began, or networks are to be measured in eight bits and
                have no form in them.
        """
        if self.recipe.scores.eight_bits:
            check_space(self.space)
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
        recipe, images = self.recipe, images_for_weights(self.recipe, self.space, self.images)
        return train_supernet(
            recipe.search_space, images, recipe.supernet, recipe.seed, self.out / CHECKPOINT, self.progress,
            started(recipe.start, self.space, self.images, recipe.seed), self.hear,
        )  # fmt: skip

    def train_weights(self) -> None:
        """Stage: train the supernet."""
        _ = self.supernet

    @cached_property
    def supernet(self) -> Supernet:
        """The supernet in evaluation mode; trained, or read from its file if that exists."""
        half = self.recipe.stored == "float16"
        return self._opened(self.once(SUPERNET, lambda path: save_tensors(path, self._trained().state_dict(), half)))

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

    def eight_bits(self) -> None:
        """Stage: measure networks in eight bits, as many as the recipe says."""
        if self.recipe.scores.eight_bits:
            fronts = [front.codes for front in self.found[: len(self.targets)]]
            n, seed = self.recipe.scores.eight_bits, self.recipe.seed
            chosen = networks_to_measure(self.space, self.scored, fronts, n, seed)
            measure_in_eight_bits(self.out, self.space, self.predictor, self.evaluator, chosen, self.progress)

    def judge(self, method: str) -> object:
        """Construct a method's judge from the held-out training images and its own copy of the supernet."""
        if method not in judged_methods(self.recipe, self.space):
            return None
        return judge(self.recipe, method, self.space, self.images, self._opened(self.out / SUPERNET))

    def pack(self) -> None:
        """Stage: put photographs, and the licence of published weights, into the study."""
        for name, text in licence_of(self.recipe.start).items():
            write_text(self.out / name, text)
        if self.recipe.packed:
            self.once(PHOTOGRAPHS, lambda path: write_photographs(path, self.images, *self.recipe.packed))

    def data(self) -> DataOfStudy:
        """Describe the study's images for the manifest, as they were loaded."""
        images, packed = self.images, self.recipe.packed
        most = [len(images.train), len(images.val)]
        return DataOfStudy(
            name=self._name() if packed else images.name, classes=list(images.classes), channels=images.channels,
            size=images.size, train=len(images.train), val=len(images.val), test=len(images.test),
            mean=list(images.mean), std=list(images.std), reading=READING, skip_broken=self.recipe.skip_broken,
            counts=images.counts(), deep=list(images.about.deep if images.about else ()),
            packed=[min(n, m) for n, m in zip(packed, most)],
        )  # fmt: skip

    def reported(self) -> list[Reported]:
        """Measure the best, largest and smallest network on all validation and, once, on all test images."""
        calibration = self.recipe.scores.calibration_images
        picked = {
            "best on validation": self._best(), "largest": largest(self.space), "smallest": smallest(self.space)
        }  # fmt: skip
        codes = np.array(list(picked.values()), np.int8)
        val, test = (
            SharedWeights(self.supernet, self.images, split, calibration=calibration).recognised(codes)
            for split in ("val", "test")
        )
        return [
            Reported(
                role=role, key=Architecture(self.space, row).key, val=v.accuracy, test=t.accuracy, balanced=t.balanced,
                recall=t.recall,
            )
            for role, row, v, t in zip(picked, codes, val, test)
        ]  # fmt: skip

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
    if images.fingerprint:
        return images.fingerprint
    found = hashlib.sha256("\n".join(images.classes).encode())
    for split in (images.train, images.val, images.test):
        found.update(np.ascontiguousarray(split.images.numpy()).data)
        found.update(np.ascontiguousarray(split.labels.numpy()).data)
    return found.hexdigest()
