"""What an unfinished study has already found: the networks that were evaluated, and their costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import is_file
from explorer.core.front import nondominated
from explorer.devices import load_device, targets_of
from explorer.evaluators import read_scores
from explorer.study.journal import Training
from explorer.study.manifest import EVALUATIONS, RECIPE
from explorer.study.recipe import load_recipe


@dataclass(frozen=True)
class SoFar:
    """The networks that a training has evaluated so far.

    Attributes:
        device: the first target of the study.
        unit: its unit.
        cost: (n,) their costs on it.
        accuracy: (n,) their accuracy in [0, 1].
        source: "measured" (with inherited weights, on validation images) or "predicted".
        front: rows of those that no other one beats, by increasing cost.
    """

    device: str
    unit: str
    cost: np.ndarray
    accuracy: np.ndarray
    source: str
    front: np.ndarray


def so_far(training: Training) -> SoFar | None:
    """Read what a training has evaluated; None before it has evaluated anything."""
    folder = Path(training.folder)
    if not (is_file(folder / EVALUATIONS) and is_file(folder / RECIPE)):
        return None
    try:
        recipe = load_recipe(folder / RECIPE)
        space = recipe.search_space
        space = space.for_images(*training.shape) if training.shape else space
        device = targets_of([load_device(source) for source in recipe.devices])[0]
        scored = read_scores(folder / EVALUATIONS, space)
    except InputError:  # the last line is being written, or a file was taken away
        return None
    if not len(scored.codes):
        return None
    cost, source = device.cost(space, scored.codes), "predicted" if "predicted" in scored.source else "measured"
    return SoFar(device.name, device.unit, cost, scored.accuracy, source, nondominated(scored.accuracy, cost[:, None]))
