"""The base class of the three ways to make a study (`train`, `add_device`, `prune`): a list of stages, run in order.

A stage writes complete files and skips those that exist, so a run that was killed resumes and produces the same files.
`study.json` is written last.
"""

from __future__ import annotations

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import read_json, write_json
from explorer.core.front import Front
from explorer.core.protocols import Progress
from explorer.devices import LayerDevice, device_json, needs_file, targets_of
from explorer.evaluators import Predictor, Scored
from explorer.generators import METHODS, check_costs
from explorer.searches import fronts
from explorer.spaces import Space
from explorer.study.opening import open_study
from explorer.study.recipe import Recipe
from explorer.study.study import Study
from explorer.study.write import write_searched

Stage = Callable[[], None]
Judge = Callable[[str], object]  # method -> its training signal in addition to the predictor, or None


class Making(ABC):
    """Base class: the construction of a study in stages.

    Args:
        out: folder of the study.
        space: search space, configured for the study's images.
        devices: devices of the study, targets first.
        progress: reports steps.
    """

    def __init__(self, out: Path, space: Space, devices: Sequence[LayerDevice], progress: Progress) -> None:
        self.out, self.space, self.devices, self.progress = out, space, list(devices), progress

    @abstractmethod
    def stages(self) -> list[Stage]:
        """List the stages in order; the one that completes the study writes `study.json`."""

    def run(self) -> None:
        """Run all stages."""
        for stage in self.stages():
            stage()

    def finish(self) -> Study:
        """Run all stages and open the study."""
        self.run()
        return open_study(self.out)

    @property
    def targets(self) -> list[LayerDevice]:
        """The devices that are targets: their costs can be budgets."""
        return targets_of(self.devices)

    def once(self, name: str, make: Callable[[Path], object]) -> Path:
        """Return the path of a file in the folder, after calling `make` on it if it does not exist."""
        path = self.out / name
        if not path.exists():
            make(path)
        return path

    def check_devices(self) -> None:
        """Stage: check that every device has costs for the space, which can be budgets; before anything is trained."""
        check_costs(self.space, self.devices)

    def write_devices(self) -> None:
        """Stage: write a file for every device that is not calculated from formulas."""
        for device in self.devices:
            if needs_file(device):
                path = self.once(f"devices/{device.name}.json", partial(_write_device, device))
                if read_json(path) != json.loads(json.dumps(device_json(device))):
                    raise InputError(
                        f"device {device.name!r} has changed since the run in {str(self.out)!r} began, so its costs "
                        "would not agree; restore its file, or start again in another folder"
                    )

    def write_searched_fronts(self, found: Sequence[Front], scored: Scored) -> None:
        """Write the searched front of every target."""
        for front in found[: len(self.targets)]:
            write_searched(self.out, front, scored)

    def train_generators(
        self, recipe: Recipe, names: Sequence[str], predictor: Predictor, found: Sequence[Front], judge: Judge
    ) -> None:
        """Train and write the generators whose files do not exist."""
        known = np.concatenate([front.codes for front in found])
        for name in names:
            path = self.out / f"generator-{name}.onnx"
            if not (path.exists() and path.with_suffix(".safetensors").exists()):
                METHODS[name].train(
                    self.space, predictor, self.devices, recipe.method_settings(name), recipe.seed, self.progress,
                    known, judge(name),
                ).save(path)  # fmt: skip


def _write_device(device: LayerDevice, path: Path) -> None:
    write_json(path, device_json(device))


def searched_fronts(
    recipe: Recipe, space: Space, predictor: Predictor, devices: Sequence[LayerDevice], progress: Progress
) -> list[Front]:
    """Search the fronts that generators learn from, by predicted accuracy: one per target and one over all targets."""
    targets = targets_of(devices)
    return fronts(space, predictor, targets, recipe.search.evaluations, recipe.seed, progress)


def copy_study(study: Study, out: Path, without: tuple[str, ...]) -> None:
    """Copy the files of a study to another folder, without those whose names begin with one of these words."""
    for name in study.manifest.files:
        if not name.startswith(without):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(study.folder / name, out / name)
