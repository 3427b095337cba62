"""Suggesting a recipe for the user's own images.

The image size decides the search space; the number of images and the speed of the machine decide the number of epochs.
The speed is measured by timing a few supernet training steps and evaluations. Needs torch.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import expanded
from explorer.core.protocols import Progress, SearchSpace, silent
from explorer.data.datasets import Images, load_dataset
from explorer.evaluators import ScoreConfig, SharedWeights
from explorer.generators.expert import ExpertConfig
from explorer.searches import search
from explorer.spaces import SPACES
from explorer.study.recipe import Recipe, SearchConfig
from explorer.supernets import TrainConfig, make_supernet, train_supernet

SMALL = 12  # images of up to this many pixels use the space "mobile-tiny"
STEPS, EVALUATED, TRIES = 4, 3, 3  # timed: training steps per try, evaluated networks, and tries
EPOCHS = (4, 60)  # minimum and maximum
SEARCHES = 20_000


@dataclass(frozen=True)
class Suggestion:
    """A suggested recipe and its estimated duration on this machine.

    Attributes:
        recipe: the complete recipe.
        images: number of images.
        classes: number of classes.
        size: median of the shorter sides of the original images, in pixels.
        seconds: estimated duration of the whole recipe in seconds.
        parts: estimated seconds of training, of scoring, and of search and generator.
        least: estimated seconds of the shortest training that is suggested.
        possible: whether the training fits in the minutes that were asked for.
    """

    recipe: Recipe
    images: int
    classes: int
    size: int
    seconds: float
    parts: dict[str, float]
    least: float
    possible: bool


def suggest(data: str, minutes: float = 15, seed: int = 0, progress: Progress = silent) -> Suggestion:
    """Suggest a recipe that takes about `minutes` on this machine.

    Args:
        data: "folder:PATH" (a folder or an archive) or a data set's name.
        minutes: target duration; it may take less if there are few images, and more if `Suggestion.possible` is False.
        seed: random seed of the recipe.
        progress: reports the timing runs.

    Raises:
        InputError: unreadable images, or `minutes` is not above 0 and at most 1440.
    """
    if not 0 < minutes <= 24 * 60:
        raise InputError(f"minutes = {minutes!r}; choose above 0, up to {24 * 60}")
    size = original_size(data)
    space = "mobile-tiny" if size <= SMALL else "mobile-32"
    images = load_dataset(data, seed, max(SPACES[space].resolutions))
    n = len(images.train)
    base = TrainConfig(
        epochs=EPOCHS[0], batch=int(np.clip(n // 16, 8, 128)), lr=0.1, rule="uniform", random_subnets=2,
        flip=False, shift=2 if size > SMALL else 1,
    )  # fmt: skip
    scores = ScoreConfig(
        architectures=160, val_images=1000, calibration_images=int(np.clip(n, 32, 500)), front_architectures=15
    )
    step, evaluation, rest = _timed(space, images, base, scores, progress)
    per_epoch = step * max(1, n // base.batch)
    scoring = evaluation * (scores.architectures + scores.front_architectures)
    epochs = int(np.clip((60 * minutes - scoring - rest) / per_epoch, *EPOCHS))
    recipe = Recipe(
        title=data.split("/")[-1][-200:], data=data, space=space, seed=seed, generators=["expert"], scores=scores,
        supernet=base.model_copy(update={"epochs": epochs}), search=SearchConfig(evaluations=SEARCHES),
    )  # fmt: skip
    parts = {"training": epochs * per_epoch, "scoring": scoring, "search and generator": rest}
    total, seconds = len(images.train) + len(images.val) + len(images.test), sum(parts.values())
    least = seconds - (epochs - EPOCHS[0]) * per_epoch
    return Suggestion(recipe, total, len(images.classes), size, seconds, parts, least, least <= 60 * minutes)


def original_size(data: str) -> int:
    """Compute the median of the shorter sides of a sample of the original images, in pixels."""
    if not data.startswith("folder:"):
        return load_dataset(data).size
    from PIL import Image, UnidentifiedImageError

    from explorer.data.datasets import image_files

    files = image_files(expanded(data.removeprefix("folder:")))
    sides = []
    for file in files[:: max(1, len(files) // 50)]:
        try:
            with Image.open(file) as image:
                sides.append(min(image.size))
        except (OSError, UnidentifiedImageError, ValueError):
            continue  # broken files are reported when the data set is loaded
    return int(statistics.median(sides)) if sides else 32


def _timed(
    space: str, images: Images, config: TrainConfig, scores: ScoreConfig, progress: Progress
) -> tuple[float, float, float]:
    """Measure the seconds of one training step, of one evaluation, and of the search and the generator."""
    known = SPACES[space].for_images(images.channels, len(images.classes), images.size)
    short = config.model_copy(update={"epochs": STEPS * config.batch / len(images.train)})
    steps = []
    for _ in progress(range(TRIES), TRIES, "timing this machine"):  # the first try includes compilation
        start = time.perf_counter()
        train_supernet(SPACES[space], images, short)
        steps.append((time.perf_counter() - start) / STEPS)
    supernet = make_supernet(known, images.mean, images.std).eval()
    evaluator = SharedWeights(supernet, images, "val", scores.val_images, scores.calibration_images)
    codes = known.sample(EVALUATED, np.random.default_rng(0))
    evaluator.evaluate(codes[:1])
    start = time.perf_counter()
    evaluator.evaluate(codes)
    evaluation = (time.perf_counter() - start) / EVALUATED
    return min(steps), evaluation, _rest(known)


def _rest(space: SearchSpace) -> float:
    """Estimate the seconds of the searched fronts and of the generator by scaling up short runs."""
    from explorer.devices import load_device
    from explorer.generators import train_generator

    class Flat:
        """A stand-in for the predictor, which is not trained yet: its values do not matter, and it is fast."""

        def evaluate(self, codes: np.ndarray) -> np.ndarray:
            """Return arbitrary accuracies: (n, d) -> (n,)."""
            return np.asarray(codes).mean(1) / 3

    devices = [load_device(name) for name in ("mobile", "cpu", "gpu")]
    start = time.perf_counter()
    search(space, Flat(), devices[:1], "memetic", SEARCHES // 10)
    fronts = 10 * len(devices) * (time.perf_counter() - start)
    seconds, whole = [], ExpertConfig()
    for rounds in (5, 10):
        start = time.perf_counter()
        train_generator(space, Flat(), devices, "expert", config=whole.model_copy(update={"rounds": rounds}))
        seconds.append(time.perf_counter() - start)
    return fronts + seconds[0] + whole.rounds / 5 * max(0.0, seconds[1] - seconds[0])
