"""Rank networks by what random weights see: freeze everything, train the last layer only (needs torch).

Hu, Cheng, He and Lu 2021 (arXiv 2011.13591, 2110.05242). The score of a network is the validation error of a linear
layer on its pooled features, averaged over seeds of the weights. The next rungs train more: batch norm's scale and
shift, then everything, for some epochs. More features separate more easily, so the score favours wide networks: never
read it without the cost beside it.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from explorer.core.architecture import as_codes
from explorer.core.config import Settings, parse
from explorer.core.errors import READ_ERRORS, InputError
from explorer.core.files import expanded, read_json, write_text
from explorer.core.layer import Layer
from explorer.core.operators import GlobalPool, Linear
from explorer.core.parallel import map_in_workers
from explorer.core.protocols import Progress, SearchSpace, silent
from explorer.data.datasets import Images, Split
from explorer.evaluators.linear_head import fit_head
from explorer.spaces.base import configured
from explorer.supernets.augment import to_float
from explorer.supernets.building import build
from explorer.supernets.plain import Network
from explorer.supernets.training import TrainConfig, train_network

BATCH = 250  # images per pass; batch norm uses their statistics, as running ones of random weights mean little


class RandomWeightsConfig(Settings):
    """What is trained, and on how much.

    Attributes:
        train: "head" (RWE), "bn" (the head with batch norm's scale and shift) or "all".
        seeds: random weights per network; the same ones for every network.
        train_images: so many for all networks.
        val_images: that the error is counted on.
        head: "ridge" (closed form, its strength by generalised cross-validation) or "softmax" (L-BFGS).
        features: "last" layer, or of "all" sizes side by side (pooled behind the last layer of each size).
        epochs, lr, batch: of "bn" and "all".
        score: "error" on the validation images, or, of "bn" and "all", how slowly the "loss" of the training falls: one
            less exp(-its mean over all steps), so that fast learners are near 0 (Ru et al. 2021, "Speedy performance
            estimation for neural architecture search"). It counts no mistakes, so that it is less coarse.
    """

    train: Literal["head", "bn", "all"] = "head"
    seeds: int = Field(2, ge=1, le=1000)
    train_images: int = Field(2000, ge=10, le=1_000_000_000)
    val_images: int = Field(1000, ge=10, le=1_000_000_000)
    head: Literal["ridge", "softmax"] = "ridge"
    features: Literal["last", "all"] = "last"
    epochs: float = Field(1.0, gt=0, le=1_000_000)
    lr: float = Field(0.1, gt=0, le=1000)
    batch: int = Field(64, ge=8, le=100_000)
    score: Literal["error", "loss"] = "error"

    @model_validator(mode="after")
    def _trained(self) -> RandomWeightsConfig:
        if self.score == "loss" and self.train == "head":
            raise ValueError(
                "score 'loss' needs a training (train 'bn' or 'all'); with train 'head' choose from: error"
            )
        return self


@dataclass(frozen=True)
class RandomScore:
    """What one network scored.

    Attributes:
        error: validation error, mean over seeds.
        stderr: its standard error; from the seeds, of a single one from the number of images.
        seconds: that it took, 0 where it was known.
        slowness: 1 - exp(-mean loss over the steps of the training), mean over seeds; None where only a head is fitted.
    """

    error: float
    stderr: float
    seconds: float
    slowness: float | None = None


class RandomWeights:
    """An evaluator that trains (almost) nothing.

    Args:
        space: any.
        images: the head is fitted on `train`, the error counted on `val`.
        cache: a folder for scores; what is in it is not computed again. The name of a score is a hash of the network,
            the images and the settings.
        jobs: processes; None takes what `joblib.parallel_config` says (a Dask cluster, say), else one.
        progress: reports architectures.
        settings: of `RandomWeightsConfig`.

    Raises:
        InputError: an unknown setting; images that cannot rank anything: one class, all the same, or not finite.
    """

    def __init__(
        self, space: SearchSpace, images: Images, *, cache: str | Path | None = None, jobs: int | None = None,
        progress: Progress = silent, **settings: Any,
    ) -> None:  # fmt: skip
        self.config = parse(RandomWeightsConfig, settings, "RandomWeights")
        self.space = configured(space, images.channels, len(images.classes), images.size)
        self.images, self.jobs, self.progress = images, jobs, progress
        self.cache = None if cache is None else expanded(cache)
        self.train = images.train.take(slice(0, self.config.train_images))
        self.val = images.val.take(slice(0, self.config.val_images))
        _check(images.name, self.train, self.val)
        self._facts = _digest([
            self.config.model_dump_json(), str(images.mean), str(images.std), *(t.numpy().tobytes() for part in (
                self.train, self.val) for t in (part.images, part.labels)),
        ])  # fmt: skip

    def evaluate(self, codes: np.ndarray | Sequence) -> np.ndarray:
        """(n, d) int8 -> (n,) in [0, 1], higher is better: one less the error, or less the slowness."""
        by = "error" if self.config.score == "error" else "slowness"
        return 1 - np.array([getattr(score, by) for score in self.scores(codes)])

    def scores(self, codes: np.ndarray | Sequence) -> list[RandomScore]:
        """The same with standard errors and seconds."""
        rows = self.space.canonical(as_codes(self.space, codes))
        networks = [tuple(self.space.layers(row)) for row in rows]
        names = [self.name_of(layers) for layers in networks]
        found = {name: score for name in set(names) if (score := self._read(name)) is not None}
        todo = {name: layers for name, layers in zip(names, networks) if name not in found}
        data = (self.train, self.val, self.images.mean, self.images.std, len(self.images.classes))
        work = map_in_workers(score_network, list(todo.values()), *data, self.config, jobs=self.jobs)
        for name, score in zip(todo, self.progress(work, len(todo), "ranking")):
            found[name] = score
            self._write(name, score)
        return [found[name] for name in names]

    def name_of(self, layers: Sequence[Layer]) -> str:
        """The name under which a network's score is kept."""
        return _digest([self._facts, *(f"{x.name} {x.signature} {x.inputs}" for x in layers)])[:32]

    def _read(self, name: str) -> RandomScore | None:
        path = None if self.cache is None else self.cache / f"{name}.json"
        if path is None or not path.is_file():
            return None
        try:
            known = read_json(path)
            slowness = known["slowness"]
            values = [float(known["error"]), float(known["stderr"]), 0.0 if slowness is None else float(slowness)]
            if not np.isfinite(values).all():
                raise ValueError("a value is not a number")
            return RandomScore(values[0], values[1], 0.0, None if slowness is None else values[2])
        except READ_ERRORS as error:
            raise InputError(f"{str(path)!r} is not a saved score ({error}); delete it") from error

    def _write(self, name: str, score: RandomScore) -> None:
        if self.cache is not None:
            known = {"error": score.error, "stderr": score.stderr, "slowness": score.slowness}
            write_text(self.cache / f"{name}.json", json.dumps(known))


def score_network(
    layers: Sequence[Layer], train: Split, val: Split, mean: Sequence[float], std: Sequence[float], classes: int,
    config: RandomWeightsConfig,
) -> RandomScore:  # fmt: skip
    """One network's score."""
    start = time.perf_counter()
    found = [_once(layers, train, val, mean, std, classes, config, seed) for seed in range(config.seeds)]
    errors, losses = [error for error, _ in found], [loss for _, loss in found if loss is not None]
    error, slowness = float(np.mean(errors)), float(np.mean([1 - math.exp(-x) for x in losses])) if losses else None
    spread = float(np.std(errors, ddof=1)) if len(errors) > 1 else (error * (1 - error) / len(val) * len(errors)) ** 0.5
    return RandomScore(error, spread / len(errors) ** 0.5, time.perf_counter() - start, slowness)


def _once(
    layers: Sequence[Layer], train: Split, val: Split, mean: Sequence[float], std: Sequence[float], classes: int,
    config: RandomWeightsConfig, seed: int,
) -> tuple[float, float | None]:  # fmt: skip
    """Validation error and mean training loss with one seed."""
    network = build(layers, mean, std, seed)
    if config.train == "head":
        names = feature_layers(layers, config.features)
        predict = fit_head(pooled(network, names, train.images), train.labels, classes, config.head)
        return float((predict(pooled(network, names, val.images)) != val.labels).double().mean()), None
    if config.train == "bn":
        _freeze_all_but_norms(network, layers)
    images = Images("", tuple(str(i) for i in range(classes)), train, val, val, tuple(mean), tuple(std))
    schedule = TrainConfig(epochs=config.epochs, batch=config.batch, lr=config.lr, label_smoothing=0.0)
    losses: list[float] = []
    train_network(network, images, schedule, seed, losses=losses)
    with torch.no_grad():
        network.train()
        chosen = torch.cat([network(to_float(x)).argmax(1) for x in val.images.split(BATCH)])
    return float((chosen != val.labels).double().mean()), float(np.mean(losses))


def _freeze_all_but_norms(network: Network, layers: Sequence[Layer]) -> None:
    network.requires_grad_(False)
    network.block(layers[-1].name).requires_grad_(True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.requires_grad_(True)


def feature_layers(layers: Sequence[Layer], which: str) -> list[str]:
    """Names of the layers whose pooled outputs are features: the last one before the classifier, or the last of each
    size of feature map as well."""
    body = layers[:-1]
    if which == "last":
        return [body[-1].name]
    by_size = {layer.size_out: layer.name for layer in body if not isinstance(layer, GlobalPool | Linear)}
    return [*dict.fromkeys([*by_size.values(), body[-1].name])]


@torch.no_grad()
def pooled(network: Network, names: Sequence[str], images: Tensor) -> Tensor:
    """(n, features) float64: means over pixels of some layers' outputs, batch norm by the batch's statistics."""
    network.train()
    parts = []
    for x in images.split(BATCH):
        outputs = network.outputs(to_float(x), names)
        parts.append(torch.cat([y.mean((2, 3)) for y in outputs], 1).double())
    return torch.cat(parts)


def _check(name: str, *splits: Split) -> None:
    for split in splits:
        x = split.images
        if x.is_floating_point() and not bool(torch.isfinite(x).all()):
            raise InputError(f"images {name!r} have pixels that are not numbers (NaN or infinite)")
        if len(x) == 0:
            raise InputError(f"images {name!r} have an empty split")
        if len(torch.unique(split.labels)) < 2:
            raise InputError(f"images {name!r} have one class only among the first {len(x)}; at least 2 are needed")
        if bool((x == x[:1]).all()):
            raise InputError(f"images {name!r} are all the same; they cannot rank networks")


def _digest(parts: Sequence[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()


__all__ = ["RandomScore", "RandomWeights", "RandomWeightsConfig", "score_network"]
