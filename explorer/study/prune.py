"""A family of pruned networks as a study: what `explorer prune` does.

The folder first holds the search's state and one file per size, so a run that was killed goes on with the same
files; when all are trained to their end it becomes a study whose space is a list: which of the family.
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

INSTEAD = {"cpu": "i7-8700k"}  # a table of measured blocks prices nothing else; this device is a fitted model
WORK = ".pruning"  # folder of what a run needs to go on


class FamilyConfig(Settings):
    """How a family is made.

    Attributes:
        width, depth, nodes, stem_stride: of the network of cells, where no architecture is given; without a stride,
            images of 24 pixels or more are halved first.
        search: see `PruneConfig`.
        steps: of every network's training alone, after the search.
        training: how; its epochs follow from the steps.
        fresh: train them from new weights instead of those of the search.
        seed: of everything random.
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
        """Two minutes on small images: for a first look, a class, a test."""
        search = PruneConfig(warmup=25, rounds=2, steps=12)
        return cls(width=6, search=search, steps=70)

    def start(self, images: Images) -> list[Layer]:
        """The network of cells for some images."""
        stride = self.stem_stride or (2 if images.size >= 24 else 1)
        return cell_layers(
            self.width, self.depth, self.nodes, images.channels, len(images.classes), images.size, stride
        )


def prune(
    study: str | Path | Study, out: str | Path | None = None, architecture: str | None = None,
    target: str | None = None, config: FamilyConfig | None = None, resume: bool = False, progress: Progress = silent,
) -> Study:  # fmt: skip
    """Prune operations, filters and weights together, down to a size; every size on the way is kept.

    Args:
        study: whose images, devices and, with an architecture, weights are used.
        out: an empty or new folder, or with `resume` that of a run that was stopped; without one a folder in
            `$EXPLORER_HOME`, named after the study.
        architecture: key of a network of the study, carved with its weights; without one the start is a network of
            cells with every operation on every edge.
        target: parameters such as "0.2M", "200k" or "25%"; 10 % without one.
        config: see `FamilyConfig`.
        resume: go on where a run stopped.
        progress: reports rounds and steps.

    Returns:
        The family, a study whose space is a list of networks.

    Raises:
        InputError: a target that is no size, above the start or below what the guards allow; `out` in use.
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
    """A target as a share of the parameters of the start.

    Raises:
        InputError: it is no number of parameters, or not between 0 and the start.
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
    """A family in the making."""

    def __init__(self, study: Study, out: Path, search: PruneSearch, config: FamilyConfig, progress: Progress) -> None:
        super().__init__(out, study.space, [], progress)  # space and devices follow from what the search leaves
        self.study, self.search, self.config, self.images = study, search, config, study.images

    def stages(self) -> list[Stage]:
        """The search, the networks' own training, then what makes a study of them."""
        return [self.prune, self.finish_networks, self.write_networks, self.write_devices, self.write, self.clean]

    def prune(self) -> None:
        """A stage: the search; every size on the way is a file."""

        def keep(size: float, carved: Carved) -> None:
            model = self.search.model
            path = self.out / WORK / f"pruned-{size:g}.safetensors"
            save_snapshot(path, Snapshot(size, carved, model.ratios(), model.left()))

        self.search.run(keep, self.out / WORK, self.progress)

    def finish_networks(self) -> None:
        """A stage: every network trained alone to its end."""
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
        """Their validation accuracy."""
        codes = np.arange(len(self.family), dtype=np.int8)[:, None]
        return Scored(codes, np.array([s.accuracy for s in self.family]), np.array(["sample"] * len(codes)))

    def write_networks(self) -> None:
        """A stage: layers, weights and accuracies of all networks, and how the search went."""
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
        """The last stage: the family as a study."""
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
        """A stage behind the last one: what was needed to go on goes."""
        shutil.rmtree(self.out / WORK, ignore_errors=True)


def _devices(study: Study, space: TableSpace) -> list[LayerDevice]:
    """The study's devices; where one has no prices for such layers, another that stands behind its name elsewhere."""
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
