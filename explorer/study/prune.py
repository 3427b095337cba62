"""A family of pruned networks as a study: the place that composes the pruning room. What `explorer prune` does.

The folder first holds the search's state and one file per size, so a run that was killed goes on with the same
files; when all are trained to their end it becomes a study whose space is a table: which of the family.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from pydantic import Field

from explorer.core.architecture import key_of
from explorer.core.config import Settings
from explorer.core.errors import InputError
from explorer.core.files import expanded, home, write_json, write_text
from explorer.core.layer import Layer
from explorer.core.protocols import Progress, silent
from explorer.devices import COUNTS, device_json, load_device
from explorer.devices.counts import params
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
from explorer.study import TABLE_FILE, Study, open_study
from explorer.study.card import family_card
from explorer.study.lock import claim, sole
from explorer.study.manifest import FORMAT, SUPERNET
from explorer.study.write import seal
from explorer.supernets import TrainConfig

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

    def start(self, images: Any) -> list[Layer]:
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
        The family, a study whose space is a table.

    Raises:
        InputError: a target that is no size, above the start or below what the guards allow; `out` in use.
    """
    study, config = open_study(study), config or FamilyConfig()
    images = study.images
    if architecture is None:
        layers: Any = config.start(images)
        ends, network = stage_ends(layers, config.search.stages), None
    else:
        chosen = study.architecture(architecture)
        layers, ends, network = list(study.space.layers(chosen)), [], study.network(chosen)
    full = sum(params(layer) for layer in layers)
    share = share_of(target, full)
    sizes = (*(s for s in config.search.sizes if s > 1.15 * share), share)
    config = config.model_copy(update={"search": config.search.model_copy(update={"sizes": sizes})})
    search = PruneSearch(layers, images, config.search, ends, network, config.seed)
    folder = expanded(out) if out else home() / "studies" / f"{study.name}-pruned"
    about = {"study": study.name, "evaluations": study.manifest.files["evaluations.csv"], "architecture": architecture}
    recipe = {"prune": {k: v for k, v in about.items() if v} | config.model_dump(exclude_none=True)}
    claim(folder, tomli_w.dumps(recipe), resume)
    if (folder / "study.json").exists():
        return open_study(folder)
    with sole(folder):
        work = folder / WORK

        def keep(size: float, carved: Carved) -> None:
            save_snapshot(
                work / f"pruned-{size:g}.safetensors",
                Snapshot(size, carved, search.model.ratios(), search.model.left()),
            )

        search.run(keep, work, progress)
        family = [_finished(work, size, images, config, progress) for size in sizes]
        made = _write(folder, study, images, family, search)
        shutil.rmtree(work, ignore_errors=True)
        return made


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


def _devices(study: Study, space: TableSpace) -> list[Any]:
    """The study's devices; where one has no prices for such layers, another that stands behind its name elsewhere."""
    found = []
    for device in study.devices.values():
        try:
            device.cost(space, space.enumerate())
        except InputError:
            if device.name not in INSTEAD:
                continue
            device = load_device(f"{device.name}={INSTEAD[device.name]}")
        found.append(device)
    return found


def _finished(folder: Path, size: float, images: Any, config: FamilyConfig, progress: Progress) -> Snapshot:
    done = folder / f"finished-{size:g}.safetensors"
    if not done.exists():
        found = load_snapshot(folder / f"pruned-{size:g}.safetensors")
        found.carved.network.preprocess = _preprocess(found, images)
        epochs = config.steps * config.training.batch / len(images.train)
        schedule = config.training.model_copy(update={"epochs": epochs})
        save_snapshot(done, finish(found, images, schedule, config.seed, config.fresh, progress=progress))
    return load_snapshot(done)


def _preprocess(snapshot: Snapshot, images: Any) -> Any:
    from explorer.supernets import Preprocess

    return Preprocess(images.mean, images.std, snapshot.carved.layers[0].size)


def _write(folder: Path, study: Study, images: Any, family: list[Snapshot], search: PruneSearch) -> Study:
    """The family's study."""
    from explorer.evaluators.shared_weights import accuracy
    from explorer.supernets.checkpoint import save_tensors

    space = TableSpace({s.name: tuple(s.carved.layers) for s in family})
    write_json(folder / TABLE_FILE, space.to_json())
    save_tensors(folder / SUPERNET, {
        f"networks.{i}.{n}": t for i, s in enumerate(family) for n, t in s.carved.network.state_dict().items()
    })  # fmt: skip
    devices = _devices(study, space)
    for device in devices:
        if device.name not in COUNTS:
            write_json(folder / "devices" / f"{device.name}.json", device_json(device))
    scored = Scored(space.enumerate(), np.array([s.accuracy for s in family]), np.array(["sample"] * len(family)))
    rows = [f"{key_of(space, row)},{a:.6f},sample" for row, a in zip(scored.codes, scored.accuracy)]
    write_text(folder / "evaluations.csv", "\n".join(["key,accuracy,source", *rows]) + "\n")
    write_json(folder / "pruning.json", {
        "rounds": search.state.log,
        "networks": [
            {"network": s.name, "share": s.share, "params": s.carved.params, "remaining": s.remaining,
             "masked_weights": s.carved.masked, "cells": s.cells}
            for s in family
        ],
    })  # fmt: skip
    tested = [accuracy(s.carved.network, images.test) for s in family]
    manifest = {
        "format": FORMAT, "name": f"{study.name}-pruned"[:64], "title": f"{study.manifest.title[:180]}, pruned",
        "space": {"name": space.name, "channels": images.channels, "classes": len(images.classes), "size": images.size,
                  "limits": {}},
        "data": study.manifest.data.model_dump(), "seed": study.manifest.seed,
        "calibration_images": study.manifest.calibration_images,
        "reported": [
            {"role": s.name, "key": key_of(space, row), "val": s.accuracy, "test": test}
            for s, row, test in zip(family, scored.codes, tested)
        ],
    }  # fmt: skip
    table = Table(space, scored, len(images.val))
    seal(folder, space, manifest, devices, scored, table, lambda about: family_card(about, devices, family))
    return open_study(folder)
