"""The original network of an export: its weights, their origin, and the images on which exported files are checked."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.core.eight_bits import EightBits
from explorer.core.errors import InputError
from explorer.core.front import Candidate
from explorer.core.layer import Layer
from explorer.core.protocols import Progress, silent
from explorer.exports.tuning import fine_tuned
from explorer.study import Study

if TYPE_CHECKING:
    from torch import Tensor, nn

UNTRAINED = "untrained: random weights in the architecture's shape; train it, or give a checkpoint with --weights"
CHECKPOINT = "sliced from the checkpoint {0!r} of the published supernet, with its batch norm statistics unchanged"
UNCHECKED = "; the images used for the export were not checked to be those of the training"
TUNED = (
    "{0}, then fine-tuned for {1} epoch(s) on {2:,} training images; the "
    "targets are half the labels and half the mean prediction of the study's best networks (distillation)"
)


@dataclass(frozen=True)
class Original:
    """A network to be exported.

    Attributes:
        study, candidate: the study and the candidate that the network belongs to.
        network: the plain network in evaluation mode.
        weights: description of where the weights come from.
        images: (n, c, h, w) float32 in [0, 1] for the check: test images or, if there are none, smooth random patterns.
        labels: (n,) class indices; None for random patterns, and for images that may be among those of the training.
        split: the split of the images: "test", or "val" where the study has no test images at hand.
        prefix: prefix of file names that tells where the weights come from, such as "tuned-".
        tuning: epochs of fine-tuning, and accuracy on validation images before and after; empty without fine-tuning.
    """

    study: Study
    candidate: Candidate
    network: nn.Module
    weights: str
    images: Tensor
    labels: Tensor | None
    prefix: str = ""
    split: str = "test"
    tuning: dict[str, float] = field(default_factory=dict)

    @property
    def checked_on(self) -> str:
        """What the images of the check are, in words."""
        if not self.study.origin.has_weights:
            return "random patterns"
        words = {"test": "test images", "val": "validation images"}
        return words[self.split] if self.labels is not None else "images not known to be outside the training"

    @property
    def stem(self) -> str:
        """Common stem of the file names."""
        return f"{self.prefix}{self.study.name}-{self.candidate.key}"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The network's layers."""
        return tuple(self.study.space.layers(self.candidate.architecture))

    @cached_property
    def eight_bits(self) -> EightBits:
        """The network's numbers in eight bits.

        Raises:
            InputError: an operator has no form in eight bits, or there are no images to calibrate on.
        """
        if not self.study.origin.has_weights:
            raise InputError(f"eight bits need training images to calibrate on; study {self.study.name!r} has none")
        from explorer.evaluators.eight_bit_weights import quantised

        network: Any = self.network
        return quantised(self.layers, network, self.study.images)

    def fused(self) -> nn.Module:
        """Return a copy of the network with batch norm folded into the convolutions."""
        from explorer.evaluators.shared_weights import fused

        return fused(copy.deepcopy(self.network).eval())


def original_of(
    study: Study, candidate: Candidate, weights: str | Path | None = None, images: int = 1000, fine_tune: int = 0,
    progress: Progress = silent,
) -> Original:  # fmt: skip
    """Build the network of a candidate for export, with its weights and the images for the check.

    Args:
        study: the study with weights and images.
        candidate: the network to export.
        weights: for a study without weights, path of a checkpoint of once-for-all's supernet.
        images: number of test images for the check.
        fine_tune: epochs of fine-tuning on the training images, 0 to 100.
        progress: reports the fine-tuning.

    Raises:
        InputError: a checkpoint that does not fit or is not needed, `fine_tune` out of range, or fine-tuning without
            images.
    """
    x, labels, split = _check_images(study, images)

    def made(network: nn.Module, weights: str, prefix: str = "", **tuning: Any) -> Original:
        return Original(study, candidate, network, weights, x, labels, prefix, split, **tuning)

    if not 0 <= fine_tune <= 100:
        raise InputError(f"fine_tune = {fine_tune!r}; choose from 0 to 100 epochs")
    if study.origin.has_weights:
        if weights is not None:
            raise InputError(f"weights {str(weights)!r}: study {study.name!r} has weights of its own")
        network: nn.Module = study.network(candidate.architecture)
        note = "" if study.checked else UNCHECKED
        if fine_tune:
            network, tuning = fine_tuned(study, network, fine_tune, progress)
            before = study.origin.exported.partition(", batch norm")[0]
            return made(
                network, TUNED.format(before, fine_tune, len(study.images.train)) + note, "tuned-", tuning=tuning
            )
        return made(network, study.origin.exported + note)
    if fine_tune:
        raise InputError(f"fine_tune = {fine_tune}: study {study.name!r} has no images to train on")
    data = study.manifest.data
    if weights is not None:
        from explorer.supernets.ofa_checkpoint import load_ofa

        supernet = load_ofa(weights, study.space, data.mean, data.std)
        return made(supernet.subnet(candidate.architecture), CHECKPOINT.format(Path(weights).name))
    from explorer.supernets import build

    network = build(study.space.layers(candidate.architecture), data.mean, data.std, seed=study.manifest.seed)
    _settle(network, x)
    return made(network.eval(), UNTRAINED, "untrained-")


def _settle(network: nn.Module, x: Tensor) -> None:
    """Set the batch norm statistics of a network from some images: otherwise activations vanish with random weights."""
    import torch

    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(x)
    for norm in norms:
        norm.momentum = 0.1


def _check_images(study: Study, count: int) -> tuple[Tensor, Tensor | None, str]:
    """Return images, labels and the split that they are of."""
    import torch

    from explorer.supernets.augment import to_float

    if study.origin.has_weights:
        split = "test" if len(study.images.test) else "val"
        data = study.images.split(split).take(slice(0, count))
        return to_float(data.images), data.labels if study.checked else None, split
    about = study.manifest.data
    coarse = torch.rand(16, about.channels, 7, 7, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (about.size, about.size), mode="bicubic").clamp(0, 1), None, "test"
