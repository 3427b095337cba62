"""Pruning a network to a family of networks of several sizes, as a study (`explorer prune`).

During the run, the folder holds the state of the search and one file per size, so a run that was killed resumes with
the same files. When all networks are fully trained, it becomes a study whose space is the list of these networks.
"""

from __future__ import annotations

import math
import shutil
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import tomli_w
from pydantic import Field

from explorer.core.architecture import key_of
from explorer.core.config import Settings
from explorer.core.errors import InputError
from explorer.core.files import expanded, home, write_json, write_text
from explorer.core.layer import Layer
from explorer.core.protocols import Progress, silent
from explorer.data import Images
from explorer.devices import LayerDevice, load_device
from explorer.evaluators import Scored, Table
from explorer.pruning import (
    Carved,
    PruneConfig,
    PruneSearch,
    Snapshot,
    cell_layers,
    finish,
    load_snapshot,
    save_snapshot,
    stage_ends,
)
from explorer.spaces.table import TableSpace
from explorer.study.card import family_card
from explorer.study.lock import locked, reserve_folder
from explorer.study.making import Making, Stage
from explorer.study.manifest import EVALUATIONS, NETWORKS, STUDY, SUPERNET, About, Reported, SpaceOfStudy
from explorer.study.opening import open_study
from explorer.study.study import Study
from explorer.study.write import write_study
from explorer.supernets import Network, Preprocess, TrainConfig

# device -> its replacement for pruned layers: a table of measured blocks has no cost for them, a fitted model has
INSTEAD = {"cpu": "i7-8700k"}
WORK = ".pruning"  # folder with the files that are needed to resume a run


class FamilyConfig(Settings):
    """Settings of a pruned family.

    Attributes:
        width, depth, nodes, stem_stride: channels, number of cells, nodes per cell and stride of the stem of the
            initial network of cells, used if no architecture is given; the default stride is 2 for images of 24 pixels
            or more, else 1.
        search: see `PruneConfig`.
        steps: training steps of each network after the search.
        training: settings of that training; its number of epochs follows from `steps`.
        fresh: train the networks from newly initialised weights instead of those of the search.
        seed: random seed of the whole run.
    """

    width: int | tuple[int, int, int] = 16
    depth: int = Field(3, ge=3, le=100)
    nodes: int = Field(2, ge=1, le=16)
    stem_stride: int | None = Field(None, ge=1, le=2)
    search: PruneConfig = Field(default_factory=PruneConfig)
    steps: int = Field(1500, ge=1, le=100_000_000)
    training: TrainConfig = Field(default_factory=lambda: TrainConfig(batch=64, lr=0.05))
    fresh: bool = False
    seed: int = Field(0, ge=0)

    @classmethod
    def quick(cls) -> FamilyConfig:
        """Return settings for a run of about two minutes on small images: for a first look, teaching or a test."""
        search = PruneConfig(warmup=25, rounds=2, steps=12, patience=1)
        return cls(width=6, search=search, steps=70)

    def start(self, images: Images) -> list[Layer]:
        """Return the layers of the initial network of cells for some images."""
        stride = self.stem_stride or (2 if images.size >= 24 else 1)
        return cell_layers(
            self.width, self.depth, self.nodes, images.channels, len(images.classes), images.size, stride
        )


def prune(
    study: str | Path | Study, out: str | Path | None = None, architecture: str | None = None,
    target: str | None = None, config: FamilyConfig | None = None, resume: bool = False, progress: Progress = silent,
) -> Study:  # fmt: skip
    """Prune operations, filters and weights of a network together down to a target size, keeping a network per size.

    Args:
        study: the study whose images and devices are used and, if `architecture` is given, whose weights.
        out: an empty or new folder or, with `resume`, the folder of a run that was stopped; by default a folder in
            `$EXPLORER_HOME`, named after the study.
        architecture: key of a network of the study, which is pruned starting from its weights; by default the initial
            network is a network of cells with every operation on every edge.
        target: number of parameters to prune to, such as "0.2M", "200k" or "25%"; 10 % by default.
        config: see `FamilyConfig`.
        resume: continue a run that was stopped.
        progress: reports rounds and steps.

    Returns:
        The family as a study whose space is a list of networks.

    Raises:
        InputError: `target` is not a size, is above the initial size or is below what the search allows, or `out` is in
            use.
    """
    study, config = open_study(study), config or FamilyConfig()
    images = study.images
    if architecture is None:
        layers = config.start(images)
        ends: list[str] = stage_ends(layers, config.search.stages)
        network: Network | None = None
    else:
        chosen = study.architecture(architecture)
        layers, ends, network = list(study.space.layers(chosen)), [], study.network(chosen)
    full = sum(layer.params() for layer in layers)
    share = share_of(target, full)
    sizes = (*(s for s in config.search.sizes if s > 1.15 * share), share)
    config = config.model_copy(update={"search": config.search.model_copy(update={"sizes": sizes})})
    search = PruneSearch(layers, images, config.search, ends, network, config.seed)
    folder = expanded(out) if out else home() / "studies" / f"{study.name}-pruned"
    about = {"study": study.name, "evaluations": study.manifest.files[EVALUATIONS], "architecture": architecture}
    recipe = {"prune": {k: v for k, v in about.items() if v} | config.model_dump(exclude_none=True)}
    reserve_folder(folder, tomli_w.dumps(recipe), resume)
    if (folder / STUDY).exists():
        return open_study(folder)
    with locked(folder):
        return Pruning(study, folder, search, config, progress).finish()


def share_of(target: str | None, full: int) -> float:
    """Convert a target size to a share of the `full` number of parameters of the initial network.

    Raises:
        InputError: `target` is not a number of parameters above 0 and up to `full`.
    """
    if target is None:
        return 0.1
    units = {"%": full / 100, "k": 1e3, "M": 1e6}
    text = target.strip()
    unit = units.get(text[-1:], 1.0)
    try:
        wanted = float(text[:-1] if text[-1:] in units else text) * unit
    except ValueError:
        wanted = math.nan
    if not 0 < wanted <= full:
        raise InputError(
            f"target {target!r}: expected a number of parameters above 0 and up to {full / 1e6:.4g}M, such as 0.2M, "
            "200k or 25%"
        )
    return float(f"{wanted / full:.6g}")


class Pruning(Making):
    """The construction of a pruned family in stages."""

    def __init__(self, study: Study, out: Path, search: PruneSearch, config: FamilyConfig, progress: Progress) -> None:
        super().__init__(out, study.space, [], progress)  # the final space and devices are set after the search
        self.study, self.search, self.config, self.images = study, search, config, study.images

    def stages(self) -> list[Stage]:
        """List the stages: the search, the training of each network, then the files of the study."""
        return [self.prune, self.finish_networks, self.write_networks, self.write_devices, self.write, self.clean]

    def prune(self) -> None:
        """Stage: run the search and write one file per size."""

        def keep(size: float, carved: Carved) -> None:
            model = self.search.model
            path = self.out / WORK / f"pruned-{size:g}.safetensors"
            save_snapshot(path, Snapshot(size, carved, model.ratios(), model.left()))

        self.search.run(keep, self.out / WORK, self.progress)

    def finish_networks(self) -> None:
        """Stage: train each network on its own to the end."""
        for size in self.search.config.sizes:
            self.once(f"{WORK}/finished-{size:g}.safetensors", partial(self._finish, size))
        self.space = TableSpace({s.name: tuple(s.carved.layers) for s in self.family})
        self.devices = _devices(self.study, self.space)

    def _finish(self, size: float, path: Path) -> None:
        found = load_snapshot(self.out / WORK / f"pruned-{size:g}.safetensors")
        images, config = self.images, self.config
        found.carved.network.preprocess = Preprocess(images.mean, images.std, found.carved.layers[0].size)
        epochs = config.steps * config.training.batch / len(images.train)
        schedule = config.training.model_copy(update={"epochs": epochs})
        save_snapshot(path, finish(found, images, schedule, config.seed, config.fresh, progress=self.progress))

    @cached_property
    def family(self) -> list[Snapshot]:
        """The finished networks, largest first."""
        return [load_snapshot(self.out / WORK / f"finished-{size:g}.safetensors") for size in self.search.config.sizes]

    @property
    def scored(self) -> Scored:
        """The finished networks with their validation accuracy."""
        codes = np.arange(len(self.family), dtype=np.int8)[:, None]
        return Scored(codes, np.array([s.accuracy for s in self.family]), np.array(["sample"] * len(codes)))

    def write_networks(self) -> None:
        """Stage: write layers, weights and accuracies of all networks, and the log of the search."""
        from explorer.supernets.checkpoint import save_tensors

        space, family = self.space, self.family
        assert isinstance(space, TableSpace)
        write_json(self.out / NETWORKS, space.to_json())
        save_tensors(self.out / SUPERNET, {
            f"networks.{i}.{n}": t for i, s in enumerate(family) for n, t in s.carved.network.state_dict().items()
        })  # fmt: skip
        rows = [f"{key_of(space, row)},{a:.6f},sample" for row, a in zip(self.scored.codes, self.scored.accuracy)]
        write_text(self.out / EVALUATIONS, "\n".join(["key,accuracy,source", *rows]) + "\n")
        write_json(self.out / "pruning.json", {
            "rounds": self.search.state.log,
            "networks": [
                {"network": s.name, "share": s.share, "params": s.carved.params, "remaining": s.remaining,
                 "masked_weights": s.carved.masked, "cells": s.cells}
                for s in family
            ],
        })  # fmt: skip

    def write(self) -> None:
        """Stage: write the fronts, card and manifest, which make the folder a study."""
        images, old, family = self.images, self.study.manifest, self.family
        about = About(
            name=f"{self.study.name}-pruned"[:64], title=f"{old.title[:180]}, pruned",
            space=SpaceOfStudy(
                name=self.space.name, channels=images.channels, classes=len(images.classes), size=images.size
            ),
            data=old.data, seed=old.seed, calibration_images=old.calibration_images, reported=self._reported(),
        )  # fmt: skip
        table = Table(self.space, self.scored, len(images.val))
        write_study(
            self.out, self.space, about, self.devices, self.scored, table,
            lambda manifest: family_card(manifest, self.devices, family),
        )  # fmt: skip

    def _reported(self) -> list[Reported]:
        from explorer.evaluators.shared_weights import accuracy

        return [
            Reported(role=s.name, key=key_of(self.space, row), val=s.accuracy, test=accuracy(
                s.carved.network, self.images.test
            ))
            for s, row in zip(self.family, self.scored.codes)
        ]  # fmt: skip

    def clean(self) -> None:
        """Stage after the study is complete: delete the files that were needed to resume."""
        shutil.rmtree(self.out / WORK, ignore_errors=True)


def _devices(study: Study, space: TableSpace) -> list[LayerDevice]:
    """Return the study's devices that have costs for the pruned networks.

    A device that has none is replaced as `INSTEAD` says, under its own name, or left out.
    """
    found: list[LayerDevice] = []
    for device in study.devices.values():
        try:
            device.cost(space, space.enumerate())
        except InputError:
            if device.name not in INSTEAD:
                continue
            device = load_device(f"{device.name}={INSTEAD[device.name]}")
        found.append(device)
    return found
