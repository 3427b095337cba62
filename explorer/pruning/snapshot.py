"""The networks of a pruned family: saving, loading and final training (needs torch)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn
from torch.nn.utils import prune as torch_prune

from explorer.core.errors import InputError, first_line
from explorer.core.files import write_bytes
from explorer.core.protocols import Progress, silent
from explorer.data.datasets import Images
from explorer.evaluators.shared_weights import accuracy
from explorer.pruning.masked import convolutions
from explorer.pruning.removal import Carved, WeightMasks
from explorer.spaces.table import TableSpace
from explorer.supernets import TrainConfig, build, recalibrate, train_network
from explorer.supernets.building import initialise


@dataclass(frozen=True)
class Snapshot:
    """One network of a pruned family.

    Attributes:
        share: target size, as a share of the initial parameters.
        carved: the network.
        remaining: granularity -> share that is left.
        cells: cell -> granularity -> [number left, number in all].
        accuracy: validation accuracy in [0, 1]; NaN before the final training.
    """

    share: float
    carved: Carved
    remaining: dict[str, float]
    cells: dict[str, dict[str, list[int]]]
    accuracy: float = float("nan")

    @property
    def name(self) -> str:
        """Name of the network in the family's table space, such as "25%"."""
        return f"{100 * self.share:g}%"


def save_snapshot(path: Path, snapshot: Snapshot) -> None:
    """Write a snapshot to one file, atomically."""
    carved = snapshot.carved
    tensors = {f"network/{n}": t for n, t in carved.network.state_dict().items()}
    tensors |= {f"mask/{n}/{k}": torch.from_numpy(m) for n, own in carved.masks.items() for k, m in own.items()}
    about = {
        "table": TableSpace({snapshot.name: tuple(carved.layers)}).to_json(), "share": snapshot.share,
        "remaining": snapshot.remaining, "cells": snapshot.cells, "accuracy": snapshot.accuracy,
    }  # fmt: skip
    write_bytes(path, save({n: t.contiguous() for n, t in tensors.items()}, {"snapshot": json.dumps(about)}))


def load_snapshot(path: Path) -> Snapshot:
    """Read a snapshot from a file written by `save_snapshot`.

    Raises:
        InputError: the file does not contain a snapshot.
    """
    masks: WeightMasks = {}
    state: dict[str, Any] = {}
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["snapshot"])
            for name in file.keys():  # noqa: SIM118 - no dictionary
                kind, *rest = name.split("/")
                if kind == "mask":
                    masks.setdefault(rest[0], {})[rest[1]] = file.get_tensor(name).numpy()
                else:
                    state["/".join(rest)] = file.get_tensor(name)
        space = TableSpace.from_json(about["table"], str(path))
        layers = list(space.layers([0]))
        network = build(layers, [0.0] * layers[0].cin, [1.0] * layers[0].cin)
        network.load_state_dict(state)
        carved = Carved(layers, network.eval(), masks)
        return Snapshot(about["share"], carved, about["remaining"], about["cells"], about["accuracy"])
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{str(path)!r} is not a pruned network of Pareto Explorer: {first_line(error)}") from error


def finish(
    snapshot: Snapshot, images: Images, config: TrainConfig, seed: int = 0, fresh: bool = False,
    calibration: int = 2000, progress: Progress = silent,
) -> Snapshot:  # fmt: skip
    """Train the network of a snapshot, with masked weights kept at zero, and measure its validation accuracy.

    Args:
        snapshot: its network is trained in place.
        images: trained on `images.train`, evaluated on `images.val`.
        config: training settings; the sampling rule does not apply.
        seed: seed of batches and of fresh weights.
        fresh: start from new random weights instead of those of the search.
        calibration: number of training images for the recalibration of batch norm.
        progress: reports training steps.
    """
    carved = snapshot.carved
    network = carved.network
    if fresh:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            initialise(network)
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_parameters()
    held = []
    for layer in carved.layers:
        for name, conv in convolutions(layer, network.block(layer.name)):
            if name in carved.masks.get(layer.name, {}):
                torch_prune.custom_from_mask(conv, "weight", torch.from_numpy(carved.masks[layer.name][name]).float())
                held.append(conv)
    train_network(network, images, config, seed, progress)
    for conv in held:
        torch_prune.remove(conv, "weight")
    recalibrate(network, images, calibration)
    return replace(snapshot, accuracy=accuracy(network, images.val))
