"""Random-weight evaluation (RWE): rank networks with frozen random weights, training the last layer only (needs torch).

Hu, Cheng, He and Lu 2021 (arXiv 2011.13591, 2110.05242). The score of a network is the validation error of a linear
classifier on its pooled features, averaged over seeds of the weights. Slower variants train more for some epochs: batch
norm's scale and shift as well, or all weights. More features are easier to separate, so the score favours wide
networks: always compare it together with the cost.
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
from explorer.fast.threads import one_thread
from explorer.spaces.base import configured
from explorer.supernets.augment import to_float
from explorer.supernets.building import build
from explorer.supernets.plain import Network
from explorer.supernets.recalibration import recalibrate
from explorer.supernets.training import TrainConfig, train_network

BATCH = 250  # images per pass; batch norm uses their statistics, as running statistics of random weights mean little


class RandomWeightsConfig(Settings):
    """What is trained, and on how many images.

    Attributes:
        train: what is trained: "head" (the linear classifier, RWE), "bn" (the head and batch norm's scale and shift)
            or "all" weights.
        seeds: number of random initialisations per network; every network uses the same seeds.
        first_seed: the first of these seeds; to compare with networks trained from seed 0, choose another.
        train_images: number of training images, the same ones for every network.
        val_images: number of validation images for the error.
        head: how "head" is fitted: "ridge" (closed form, penalty by generalised cross-validation), "softmax" (L-BFGS)
            or "sgd" (gradient descent for `head_epochs`, as the paper).
        head_epochs: passes over the training images, of "sgd".
        standardise: whether "head" reads features of mean 0 and deviation 1, or features as they are.
        statistics: with which statistics batch norm computes the features: of each "batch" of images, or "frozen", from
            the training images.
        features: what "head" reads: the pooled output of the "last" layer, or those of "all" feature-map sizes
            concatenated (of the last layer of each size).
        epochs, lr, batch: training settings for "bn" and "all".
        score: "error" on the validation images or, for "bn" and "all", "loss": the slowness of the training, 1 -
            exp(-mean loss over all steps), so that networks that learn fast are near 0 (Ru et al. 2021, "Speedy
            performance estimation for neural architecture search"). It is less coarse than a share of errors.
    """

    train: Literal["head", "bn", "all"] = "head"
    seeds: int = Field(2, ge=1, le=1000)
    first_seed: int = Field(0, ge=0, le=1_000_000_000)
    train_images: int = Field(2000, ge=10, le=1_000_000_000)
    val_images: int = Field(1000, ge=10, le=1_000_000_000)
    head: Literal["ridge", "softmax", "sgd"] = "ridge"
    head_epochs: float = Field(30.0, gt=0, le=1_000_000)
    standardise: bool = True
    statistics: Literal["batch", "frozen"] = "batch"
    features: Literal["last", "all"] = "last"
    epochs: float = Field(1.0, gt=0, le=1_000_000)
    lr: float = Field(0.1, gt=0, le=1000)
    batch: int = Field(64, ge=8, le=100_000)
    score: Literal["error", "loss"] = "error"

    @model_validator(mode="after")
    def _trained(self) -> RandomWeightsConfig:
        if "head_epochs" in self.model_fields_set and (self.train, self.head) != ("head", "sgd"):
            raise ValueError(
                "head_epochs is read by train 'head' with head 'sgd' alone; 'epochs' are those of a training"
            )
        if self.score == "loss" and self.train == "head":
            raise ValueError(
                "score 'loss' needs a training (train 'bn' or 'all'); with train 'head' choose from: error"
            )
        return self


@dataclass(frozen=True)
class RandomScore:
    """The score of one network.

    Attributes:
        error: validation error in [0, 1], mean over seeds.
        stderr: standard error of `error`, from the spread over seeds or, with one seed, from the number of images.
        seconds: computing time; 0 if the score was cached.
        slowness: 1 - exp(-mean loss over the training steps), mean over seeds; None if only a head is fitted.
    """

    error: float
    stderr: float
    seconds: float
    slowness: float | None = None


class RandomWeights:
    """An evaluator that scores networks with random weights, training little or nothing but a linear head.

    Args:
        space: any search space.
        images: the network or its head is trained on `images.train`; the error is measured on `images.val`.
        cache: a folder for scores; scores in it are not computed again. The file name of a score is a hash of the
            network, the images and the settings.
        jobs: number of processes; None uses the setting of `joblib.parallel_config` (such as a Dask cluster), or one
            process without it.
        progress: reports scored architectures.
        settings: fields of `RandomWeightsConfig`.

    Raises:
        InputError: a setting is unknown or invalid, or the images cannot rank networks: no images, a single class,
            all images identical, or pixels that are not finite.
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
        """(n, d) int8 -> (n,) in [0, 1], higher is better: 1 - error or, with score = "loss", 1 - slowness."""
        by = "error" if self.config.score == "error" else "slowness"
        return 1 - np.array([getattr(score, by) for score in self.scores(codes)])

    def scores(self, codes: np.ndarray | Sequence) -> list[RandomScore]:
        """Return the full score of every architecture, with standard error and seconds."""
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
        """Return the name of a network's score in the cache: a hash of the network, the images and the settings."""
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
    """Score one network.

    Args:
        layers: the network's layers.
        train, val: images to train on, and to measure the error on.
        mean, std: normalisation of the images, per channel.
        classes: number of classes.
        config: see `RandomWeightsConfig`.
    """
    start = time.perf_counter()
    found = [_once(layers, train, val, mean, std, classes, config, config.first_seed + i) for i in range(config.seeds)]
    errors, losses = [error for error, _ in found], [loss for _, loss in found if loss is not None]
    error, slowness = float(np.mean(errors)), float(np.mean([1 - math.exp(-x) for x in losses])) if losses else None
    spread = float(np.std(errors, ddof=1)) if len(errors) > 1 else (error * (1 - error) / len(val) * len(errors)) ** 0.5
    return RandomScore(error, spread / len(errors) ** 0.5, time.perf_counter() - start, slowness)


def _once(
    layers: Sequence[Layer], train: Split, val: Split, mean: Sequence[float], std: Sequence[float], classes: int,
    config: RandomWeightsConfig, seed: int,
) -> tuple[float, float | None]:  # fmt: skip
    """Return the validation error and the mean training loss (None for "head") with one seed."""
    network = build(layers, mean, std, seed)
    images = Images("", tuple(str(i) for i in range(classes)), train, val, val, tuple(mean), tuple(std))
    if config.train == "head":
        names = feature_layers(layers, config.features)
        if config.statistics == "frozen":
            recalibrate(network, images, len(train), BATCH)
        known = pooled(network, names, train.images, config.statistics)
        predict = fit_head(known, train.labels, classes, config.head, config.standardise, config.head_epochs, seed)
        chosen = predict(pooled(network, names, val.images, config.statistics))
        return float((chosen != val.labels).double().mean()), None
    if config.train == "bn":
        _freeze_all_but_norms(network, layers)
    schedule = TrainConfig(epochs=config.epochs, batch=config.batch, lr=config.lr, label_smoothing=0.0)
    losses: list[float] = []
    with one_thread():  # gradients depend on the number of threads, and a score must not
        train_network(network, images, schedule, seed, hear=lambda step, total, loss: losses.append(loss))
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
    """Return the names of the layers whose pooled outputs are the features.

    With `which` = "last" that is the last layer before the classifier, with "all" also the last layer of each
    feature-map size.
    """
    body = layers[:-1]
    if which == "last":
        return [body[-1].name]
    by_size = {layer.size_out: layer.name for layer in body if not isinstance(layer, GlobalPool | Linear)}
    return [*dict.fromkeys([*by_size.values(), body[-1].name])]


@torch.no_grad()
def pooled(network: Network, names: Sequence[str], images: Tensor, statistics: str = "batch") -> Tensor:
    """Return the features (n, f) float64: outputs of some layers, averaged over pixels and concatenated.

    Batch norm uses the statistics of each "batch", or those that it has ("frozen").
    """
    network.train(statistics == "batch")
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
            raise InputError(f"images {name!r} have only one class among the first {len(x)}; at least 2 are needed")
        if bool((x == x[:1]).all()):
            raise InputError(f"images {name!r} are all the same; they cannot rank networks")


def _digest(parts: Sequence[str | bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
        digest.update(b"\0")
    return digest.hexdigest()


__all__ = ["RandomScore", "RandomWeights", "RandomWeightsConfig", "score_network"]
