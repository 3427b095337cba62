"""Adding accuracies in eight bits to a finished study; it stays one study (see `Study.in_precision`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from explorer.core.errors import InputError, require_torch
from explorer.core.files import empty_folder, hand_over, scratch
from explorer.core.protocols import Progress, silent
from explorer.devices import is_target, load_device
from explorer.devices.quantities import FP32
from explorer.evaluators import Predictor
from explorer.spaces import read_architecture
from explorer.study.add_device import BRIEFLY, with_device
from explorer.study.eight_bits import check_space, measure_in_eight_bits, networks_to_measure, priced_in_eight_bits
from explorer.study.making import Making, Stage, copy_study
from explorer.study.manifest import CHANGE_INT8, EVALUATIONS_INT8, About
from explorer.study.opening import open_study
from explorer.study.study import Study
from explorer.study.write import write_searched, write_study

NETWORKS, FEWEST = 200, 30


def quantise(
    study: Study, out: str | Path, networks: int = NETWORKS, devices: Sequence[str] | None = None,
    progress: Progress = silent,
) -> Study:  # fmt: skip
    """Write a study that also has accuracies in eight bits, and devices that price eight bits.

    Args:
        study: the study to extend; it is not changed.
        out: an empty or new folder.
        networks: number of networks that are measured in eight bits.
        devices: names or files of devices to add; by default those of `USUAL` that price every network.
        progress: reports steps.

    Raises:
        InputError: `out` is not empty, the study has no weights or no form in eight bits, too few networks, or a device
            cannot be added.
        MissingExtra: torch is not installed.
    """
    study = study.in_precision(FP32)
    check_space(study.space)
    if not study.origin.has_weights:
        raise InputError(f"study {study.name!r} has no weights, so there is nothing to measure in eight bits")
    if networks < FEWEST:
        raise InputError(f"networks = {networks}; expected at least {FEWEST}")
    require_torch("measuring accuracy in eight bits")
    out = empty_folder(out)
    added = [load_device(name) for name in devices] if devices is not None else priced_in_eight_bits(study.space)
    wider = study
    for device in added:
        if devices is not None or device.name not in study.devices:
            wider = with_device(wider, device)
    with scratch("explorer-int8-") as folder:
        work = folder / "study"
        Lowering(study, wider, work, networks, progress).run()
        hand_over(work, out)
    return open_study(out)


class Lowering(Making):
    """The construction of a study with accuracies in eight bits, in stages.

    Args:
        study: the study that is extended.
        wider: the same with more devices.
        out: folder of the new study.
        networks: number of networks that are measured.
        progress: reports steps.
    """

    def __init__(self, study: Study, wider: Study, out: Path, networks: int, progress: Progress) -> None:
        super().__init__(out, study.space, list(wider.devices.values()), progress)
        assert isinstance(study.predictor, Predictor)
        self.study, self.wider, self.networks, self.predictor = study, wider, networks, study.predictor

    def stages(self) -> list[Stage]:
        """List the stages."""
        return [self.check_devices, self.copy, self.write_devices, self.measure, self.write_fronts, self.write]

    def copy(self) -> None:
        """Stage: copy the files that do not change."""
        copy_study(self.study, self.out, ("front-", "README", EVALUATIONS_INT8, CHANGE_INT8))

    def measure(self) -> None:
        """Stage: measure networks in eight bits and fit the predictor."""
        study = self.study
        tables = [study.searched(name) for name in study.targets]
        fronts = [np.array([read_architecture(self.space, key).choices for key in table["key"]], np.int8)
                  for table in tables if len(table)]  # fmt: skip
        chosen = networks_to_measure(self.space, study.scored, fronts, self.networks, study.manifest.seed)
        weights = study.measured.evaluator("val")
        measure_in_eight_bits(self.out, self.space, self.predictor, weights, chosen, self.progress)

    def write_fronts(self) -> None:
        """Stage: search and write the fronts of the added devices."""
        for device in self.devices:
            if device.name not in self.study.devices and is_target(device):
                write_searched(
                    self.out, self.wider.search(devices=[device.name], evaluations=BRIEFLY), self.study.scored
                )

    def write(self) -> None:
        """Stage: write the fronts, card and manifest."""
        old = self.study.manifest
        about = About(**{field: getattr(old, field) for field in About.model_fields})
        write_study(self.out, self.space, about, self.devices, self.study.scored, self.predictor)
