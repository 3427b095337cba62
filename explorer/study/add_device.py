"""Adding a device to a study: all costs on it are computed, and its generators answer for it at once.

A generator that reads descriptions of devices (`expert`) is asked about the new one as it is; the draws of the others
are filtered by its costs. Retraining is a choice, which takes minutes and says what it gained.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from explorer.core.errors import InputError, require_torch
from explorer.core.files import empty_folder, hand_over, scratch
from explorer.core.front import hypervolume
from explorer.core.protocols import Device, Progress, silent
from explorer.devices import (
    DEVICES,
    LayerDevice,
    adopted,
    arranged,
    checked_device_name,
    device_json,
    is_target,
    load_device,
    needs_file,
)  # fmt: skip
from explorer.devices.population import cheapest
from explorer.devices.quantities import FP32
from explorer.evaluators import Predictor
from explorer.generators import METHODS, BudgetGenerator, check_costs, open_generator
from explorer.study.judges import judge, judged_methods
from explorer.study.making import Making, Stage, copy_study, searched_fronts
from explorer.study.manifest import About
from explorer.study.opening import open_study
from explorer.study.recipe import Recipe
from explorer.study.study import Study
from explorer.study.write import write_searched, write_study

SEARCHED, BRIEFLY = 60_000, 20_000  # evaluations of the search for the new device's front, retrained or at once


def with_device(study: Study, device: Device, retrain: bool = False, progress: Progress = silent) -> Study:
    """Return a study in memory with one more device, ready at once.

    Args:
        study: the study to extend; it is not changed.
        device: any object that implements `core.protocols.Device`, with a name that the study does not have.
        retrain: train the generators again with the new device among theirs, which takes minutes; `gains` tells what
            that is worth.
        progress: reports steps.

    Raises:
        InputError: the name is taken, the device has no costs for this space or equal ones for all networks, or a
            generator that learns through the supernet is to be retrained and the study's images are not available.
        MissingExtra: torch is needed for retraining and is not installed.
    """
    precision, study = study.precision, study.in_precision(FP32)
    devices = _with(study, device)
    check_costs(study.space, [devices[device.name]])
    if not retrain or study.origin.enumerated:  # an enumerated space has no trained generator
        wider = Study(study.folder, study.manifest, devices, study.space, _for(devices, study))
        return wider.in_precision(precision)
    require_torch("training a generator (without retraining, the present one answers for the device)")
    assert isinstance(study.predictor, Predictor)
    recipe = study.recipe
    found = searched_fronts(recipe, study.space, study.predictor, list(devices.values()), progress)
    known = np.concatenate([front.codes for front in found])
    trained: dict[str, BudgetGenerator] = {}
    for name in study.generators:
        trained[name] = METHODS[name].train(
            study.space, study.predictor, list(devices.values()), recipe.method_settings(name),
            study.manifest.seed, progress, known, judge_of(study, recipe, name),
        )  # fmt: skip
    return Study(study.folder, study.manifest, devices, study.space, trained).in_precision(precision)


def with_calculated(study: Study, names: Iterable[str]) -> Study:
    """Return a study with those of some devices that it lacks and that are calculated, such as `ram_kb`.

    Raises:
        InputError: a calculated device has no costs for the study's space.
    """
    for name in names:
        if name not in study.devices and name in DEVICES:
            study = with_device(study, load_device(name))
    return study


def _for(devices: dict[str, LayerDevice], study: Study) -> dict[str, BudgetGenerator]:
    """Return the generators that a study has in memory, such as retrained ones, for more devices."""
    return {
        name: open_generator(study.space, made.model, study.predictor, list(devices.values()), made.weights)
        for name, made in study.opened.items()
    }


def answered(study: Study, device: str) -> str:
    """Say how each generator of a study answers for a device that was added without retraining."""
    told = [name for name in study.generators if device in study.generator(name).conditioned]
    rest = [name for name in study.generators if name not in told]
    said = [f"{' and '.join(told)} are made for {device} by its prices"] if told else []
    said += [f"{' and '.join(rest)} are made for other devices and chosen by the costs on {device}"] if rest else []
    return f"Networks of {'; those of '.join(said)}."


def gains(study: Study, device: Device, retrained: Study) -> dict[str, float]:
    """Compare a retrained study with the same one as it is at once.

    Args:
        study: the study without the device.
        device: the device that was added.
        retrained: the study that was retrained for it.

    Returns:
        Generator -> by which share the hypervolume of its networks for 100 budgets on the device grew.
    """
    before = with_device(study, device)
    found = {}
    for name in study.generators:
        first, second = (s.generated_front(device.name, name) for s in (before, retrained))
        corner = tuple(np.maximum(first.reference, second.reference))
        volumes = [hypervolume(front.accuracy, front.costs, corner) for front in (first, second)]
        found[name] = volumes[1] / volumes[0] - 1
    return found


def _with(study: Study, device: Device) -> dict[str, LayerDevice]:
    """Return all devices, targets first; the new one is the last of its quantity."""
    if device.name in study.devices:
        raise InputError(f"device {device.name!r} is already in study {study.name!r}; choose another name")
    checked_device_name(device.name)
    cheapest(study.space, device)  # raises if it has no costs for this space
    return arranged(study.devices | {device.name: adopted(device)})


def judge_of(study: Study, recipe: Recipe, method: str) -> object:
    """Rebuild the judge that a method was trained with in addition to the predictor, None if it has none."""
    if method not in judged_methods(recipe, study.space):
        return None
    # a copy, because a judge changes the mode of the supernet
    fresh = Study(study.folder, study.manifest, study.devices, study.space)
    return judge(recipe, method, study.space, study.images, fresh.supernet)


def add_device(
    study: Study, device: LayerDevice, out: str | Path, progress: Progress = silent, retrain: bool = False
) -> Study:
    """Write a study with one more device to a new folder; all costs on the device are computed.

    Args:
        study: the study to extend; it is not changed.
        device: a device that can be written to a file (a block table or a layer model).
        out: an empty or new folder.
        progress: reports steps.
        retrain: train the generators again, see `with_device`.

    Raises:
        InputError: `out` is not empty, the study is a family of pruned networks, the name is taken, or the device has
            no file format or no costs for the space.
    """
    if study.origin.enumerated:
        raise InputError(
            f"study {study.name!r} is a family of pruned networks; add {device.name!r} to the study it was made from, "
            "then prune that study again"
        )
    study, out = study.in_precision(FP32), empty_folder(out)
    if needs_file(device):
        device_json(device)  # raises if the device has no file format
    devices = list(_with(study, device).values())
    with scratch("explorer-device-") as folder:
        work = folder / "study"
        Widening(study, device, work, devices, progress, retrain).run()
        hand_over(work, out)
    return open_study(out)


class Widening(Making):
    """The construction of a study with one more device, in stages."""

    def __init__(
        self, study: Study, device: LayerDevice, out: Path, devices: list[LayerDevice], progress: Progress,
        retrain: bool,
    ) -> None:  # fmt: skip
        super().__init__(out, study.space, devices, progress)
        assert isinstance(study.predictor, Predictor)
        self.study, self.device, self.predictor, self.retrain = study, device, study.predictor, retrain

    def stages(self) -> list[Stage]:
        """List the stages; everything that does not depend on devices is copied."""
        trained = [self.generators] if self.retrain else []
        return [self.check_devices, self.copy, self.write_devices, *trained, self.write_front, self.write]

    def copy(self) -> None:
        """Stage: copy the files that do not change."""
        made = ("front-", "README", *(["generator-"] if self.retrain else []))
        copy_study(self.study, self.out, made)

    def generators(self) -> None:
        """Stage: train every generator of the study with the recipe's settings and the same judge."""
        recipe = self.study.recipe
        found = searched_fronts(recipe, self.space, self.predictor, self.devices, self.progress)
        judge = lambda name: judge_of(self.study, recipe, name)  # noqa: E731
        self.train_generators(recipe, self.study.generators, self.predictor, found, judge)

    def write_front(self) -> None:
        """Stage: search and write the front of the new device, if it is a target."""
        if is_target(self.device):
            wider = Study(self.study.folder, self.study.manifest, {d.name: d for d in self.devices}, self.space)
            evaluations = SEARCHED if self.retrain else BRIEFLY
            front = wider.search(devices=[self.device.name], evaluations=evaluations)
            write_searched(self.out, front, self.study.scored)

    def write(self) -> None:
        """Stage: write the fronts, card and manifest."""
        old, name = self.study.manifest, self.device.name
        about = About(**{field: getattr(old, field) for field in About.model_fields} | {
            "name": f"{self.study.name[: 63 - len(name)]}-{name}", "title": f"{old.title[: 190 - len(name)]} + {name}"
        })  # fmt: skip
        write_study(self.out, self.space, about, self.devices, self.study.scored, self.predictor)
