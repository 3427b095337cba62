"""A recipe for one's own images: the space by their size, the length by their number and by this machine's speed.

The machine is asked, not guessed: some steps of the supernet and some evaluations are timed. Needs torch.
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

SMALL = 12  # pixels up to which images go to the tiny space
STEPS, EVALUATED, TRIES = 4, 3, 3
EPOCHS = (4, 60)
SEARCHES = 20_000


@dataclass(frozen=True)
class Suggestion:
    """What to train, and how long it will take here.

    Attributes:
        recipe: complete.
        images, classes, size: of the data; size is the median of the originals' shorter sides.
        seconds: estimated, of the whole recipe on this machine; training, scoring and the rest in `parts`.
    """

    recipe: Recipe
    images: int
    classes: int
    size: int
    seconds: float
    parts: dict[str, float]


def suggest(data: str, minutes: float = 15, seed: int = 0, progress: Progress = silent) -> Suggestion:
    """A recipe that takes about so many minutes here.

    Args:
        data: "folder:PATH" (a folder or an archive) or a data set's name.
        minutes: to aim at; few images need less.
        seed: of the recipe.
        progress: of the timings.

    Raises:
        InputError: unreadable images, or minutes that are not above 0.
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
    scores = ScoreConfig(architectures=160, val_images=1000, calibration_images=min(500, n), front_architectures=15)
    step, evaluation, rest = _timed(space, images, base, scores, progress)
    per_epoch = step * max(1, n // base.batch)
    scoring = evaluation * (scores.architectures + scores.front_architectures)
    epochs = int(np.clip((60 * minutes - scoring - rest) / per_epoch, *EPOCHS))
    recipe = Recipe(
        title=data.split("/")[-1][-200:], data=data, space=space, seed=seed, generators=["expert"], scores=scores,
        supernet=base.model_copy(update={"epochs": epochs}), search=SearchConfig(evaluations=SEARCHES),
    )  # fmt: skip
    parts = {"training": epochs * per_epoch, "scoring": scoring, "search and generator": rest}
    total = len(images.train) + len(images.val) + len(images.test)
    return Suggestion(recipe, total, len(images.classes), size, sum(parts.values()), parts)


def original_size(data: str) -> int:
    """Median of the shorter sides of some of the originals, in pixels."""
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
            continue  # loading says which files are broken
    return int(statistics.median(sides)) if sides else 32


def _timed(
    space: str, images: Images, config: TrainConfig, scores: ScoreConfig, progress: Progress
) -> tuple[float, float, float]:
    """Seconds of a training step, of one evaluation, and of search and generator."""
    known = SPACES[space].for_images(images.channels, len(images.classes), images.size)
    short = config.model_copy(update={"epochs": STEPS * config.batch / len(images.train)})
    steps = []
    for _ in progress(range(TRIES), TRIES, "timing this machine"):  # the first one compiles
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
    """Seconds of the fronts and the generator: what short trials take, scaled up."""
    from explorer.devices import load_device
    from explorer.generators import train_generator

    class Flat:
        """Stands in for a predictor while nothing is trained: its answers do not matter, its time is small."""

        def evaluate(self, codes: np.ndarray) -> np.ndarray:
            """(n, d) -> (n,)."""
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
