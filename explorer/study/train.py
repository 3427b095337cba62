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
    first = os.environ.get("RANK", "0") == "0"
    progress = progress if first else silent
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, data, start)
    if skip_broken is not None:
        recipe = recipe.model_copy(update={"skip_broken": skip_broken})
    out = expanded(out)
    if recipe.data.startswith(PUBLISHED):
        rows = read_published(recipe.data.removeprefix(PUBLISHED), recipe.search_space)
        make: Callable[[], Training] = lambda: FromPublished(recipe, out, rows, progress)  # noqa: E731
    else:
        check_start(recipe.start, recipe.search_space)
        licence_of(recipe.start)  # the package with the weights is needed later: better said before an hour of training
        size = image_size(recipe.search_space)
        images = load_dataset(recipe.data, recipe.seed, size, recipe.skip_broken, READING, progress)
        images = for_start(images, recipe.start)
        if first:
            tell(images)
        make = lambda: FromImages(recipe, out, images.subset(recipe.train_images), progress)  # noqa: E731
    if not first:
        if not (out / STUDY).exists():
            make().join()
        raise SystemExit(0)
    reserve_folder(out, written(recipe), resume)
    if (out / STUDY).exists():
        return open_study(out)
    with locked(out):
        return make().finish()


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
