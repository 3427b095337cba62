"""Training a study from a recipe.

Each stage writes a complete file and is skipped if that file exists, so a run that was killed can be resumed with
`resume=True` and produces the same files. `study.json` is written last. Training measures no latency: costs come from
device files.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import tomli_w

from explorer.core.errors import Note
from explorer.core.files import expanded
from explorer.core.protocols import Progress, silent
from explorer.data import Images, load_dataset
from explorer.data.datasets import READING
from explorer.evaluators import read_published
from explorer.spaces.base import image_size
from explorer.study.from_images import FromImages
from explorer.study.journal import Journal, recorded
from explorer.study.lock import locked, reserve_folder
from explorer.study.manifest import STUDY
from explorer.study.opening import open_study
from explorer.study.recipe import PUBLISHED, Recipe, load_recipe, name_of_data
from explorer.study.starting import check_start, for_start, licence_of
from explorer.study.study import Study
from explorer.study.training import FromPublished, Training


def train(
    recipe: str | Path | Recipe, out: str | Path, data: str | None = None, resume: bool = False,
    progress: Progress = silent, start: str | None = None, skip_broken: bool | None = None,
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
        start: weights to start from, instead of the recipe's: see `Recipe.start`.
        skip_broken: leave out damaged files, instead of what the recipe says.

    Raises:
        InputError: invalid recipe, unreadable images, or `out` is in use by another recipe or process.
        SystemExit: in the other processes under `torchrun`, when they are done.
    """
    first, arguments = os.environ.get("RANK", "0") == "0", _arguments(recipe, data, start, skip_broken)
    progress = progress if first else silent
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, data, start)
    if skip_broken is not None:
        recipe = recipe.model_copy(update={"skip_broken": skip_broken})
    out = expanded(out)
    if not first:
        if not (out / STUDY).exists():
            _making(recipe, out, progress)().join()
        raise SystemExit(0)
    with recorded(out, arguments, resume) as journal:
        make = _making(recipe, out, journal.progress(progress), journal)
        reserve_folder(out, written(recipe), resume)
        if (out / STUDY).exists():
            return open_study(out)
        journal.reserve()
        with locked(out):
            return make().finish()


def _arguments(
    recipe: str | Path | Recipe, data: str | None, start: str | None, skip_broken: bool | None
) -> tuple[str, ...]:
    """What `explorer train` would be called with, so that a page can let the training go on; () where it cannot."""
    if isinstance(recipe, Recipe):
        return ()
    named = str(Path(recipe).absolute()) if Path(recipe).suffix == ".toml" else str(recipe)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # a page would go on with one process
        return ()
    given = {"--data": data, "--from": None if start is None else start or "none"}
    options = [part for name, value in given.items() if value is not None for part in (name, value)]
    return (named, *options, *(["--skip-broken"] if skip_broken else []))


def _making(recipe: Recipe, out: Path, progress: Progress, journal: Journal | None = None) -> Callable[[], Training]:
    """Read what the recipe names, in the first process with a journal; return the function that makes the training."""
    if recipe.data.startswith(PUBLISHED):
        rows = read_published(recipe.data.removeprefix(PUBLISHED), recipe.search_space)
        return lambda: FromPublished(recipe, out, rows, progress)
    check_start(recipe.start, recipe.search_space)
    licence_of(recipe.start)  # the package with the weights is needed later: better said before an hour of training
    size = image_size(recipe.search_space)
    images = load_dataset(recipe.data, recipe.seed, size, recipe.skip_broken, READING, progress)
    images = for_start(images, recipe.start)
    if journal is None:
        return lambda: FromImages(recipe, out, images.subset(recipe.train_images), progress)
    tell(images)
    journal.images(images.channels, len(images.classes), images.size)
    return lambda: FromImages(recipe, out, images.subset(recipe.train_images), progress, journal.loss)


def written(recipe: Recipe) -> str:
    """Return the recipe as it stands in the study; one with its own photographs does not name where the others are."""
    values = recipe.model_dump(exclude_none=True)
    if recipe.packed:
        values["data"] = f"folder:{name_of_data(recipe.data)}"
    return tomli_w.dumps(values)


def tell(images: Images) -> None:
    """Warn of what a user should know about the images before they are trained on (`About.warnings`)."""
    for line in images.about.warnings() if images.about else []:
        warnings.warn(line, Note, stacklevel=3)
