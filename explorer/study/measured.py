"""Measuring accuracy on a study's images: images, supernet, networks and accuracy. Loads torch on demand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.core.architecture import Architecture, as_codes
from explorer.core.errors import InputError, require_torch, unknown
from explorer.devices.quantities import FP32, checked_precision
from explorer.spaces import Enumerable, Space
from explorer.study.manifest import PHOTOGRAPHS, SUPERNET, DataOfStudy, Manifest

if TYPE_CHECKING:
    from explorer.data import Images
    from explorer.evaluators import SharedWeights
    from explorer.evaluators.recall import Recognised
    from explorer.supernets import Network, Supernet


NEW_PLACE = "--data folder:PATH"


def _other(images: Images, about: DataOfStudy) -> str:
    """Say what distinguishes images from those of the training."""
    if list(images.classes) != about.classes:
        return f"their classes are {', '.join(images.classes)[:200]}; expected {', '.join(about.classes)[:200]}"
    found, expected = (len(images.train), len(images.val)), (about.train, about.val)
    if found != expected:
        return (
            f"{found[0]:,} for training and {found[1]:,} for validation; expected {expected[0]:,} and {expected[1]:,}"
        )
    return "their pixels have another mean or standard deviation"


class Measured:
    """The images and trained weights of a study.

    Args:
        folder: folder of the study.
        manifest: the parsed `study.json`.
        space: search space, configured for the study's images.
        checked: whether only the images of the training are accepted.
    """

    def __init__(self, folder: Path, manifest: Manifest, space: Space, checked: bool = True) -> None:
        self.folder, self.manifest, self.space, self.checked = folder, manifest, space, checked

    @cached_property
    def images(self) -> Images:
        """The study's images, split as they were in training.

        Their classes, number, mean and standard deviation are compared with those of the training.

        Raises:
            InputError: the images are not available, or they are not those of the training.
        """
        name, about = self.manifest.name, self.manifest.data
        if not self.manifest.origin.has_weights:
            raise InputError(
                f"study {name!r} has no images: its accuracies are predictions fitted to published results"
            )
        require_torch("loading images")
        if about.packed and not about.name.startswith("folder:"):
            from explorer.study.packed import read_photographs

            return read_photographs(self.folder / PHOTOGRAPHS, about)
        from explorer.data import load_dataset

        try:
            images = load_dataset(about.name, self.manifest.seed, about.size, about.skip_broken, about.reading)
            images = images.coloured() if about.channels == 3 else images
        except InputError as error:
            moved = f"; if they were moved, name their new place: {NEW_PLACE}" * about.name.startswith("folder:")
            raise InputError(f"the images of study {name!r} cannot be read: {error}{moved}") from error
        found = [*images.mean, *images.std]  # computed over all training images
        if len(images.train) > about.train:  # a recipe may use only some of them
            images = images.subset(about.train)
        same = list(images.classes) == about.classes and np.allclose(found, [*about.mean, *about.std], atol=1e-6)
        counted = (len(images.train), len(images.val)) == (about.train, about.val)
        if self.checked and not (same and counted):
            raise InputError(
                f"the images of {about.name!r} are not those that study {name!r} was trained on: "
                f"{_other(images, about)}; name the folder with those of the training ({NEW_PLACE}), "
                "or export with --unchecked"
            )
        if images.channels != about.channels or len(images.classes) != len(about.classes):
            raise InputError(
                f"the images of {about.name!r} have {images.channels} channel(s) and {len(images.classes)} classes; "
                f"study {name!r} has {about.channels} and {len(about.classes)}"
            )
        return images

    @cached_property
    def supernet(self) -> Supernet:
        """The trained supernet in evaluation mode; for a list of networks, a module with all of them.

        Raises:
            InputError: the study has no trained weights, or their file is damaged.
        """
        if not self.manifest.origin.has_weights:
            raise InputError(f"study {self.manifest.name!r} has no trained weights: its accuracies are predicted")
        require_torch("loading a supernet")
        from explorer.supernets import make_supernet
        from explorer.supernets.checkpoint import load_tensors

        path = self.folder / SUPERNET
        if self._weights() > path.stat().st_size:  # a valid file has 4 bytes per weight, so it is larger
            raise InputError(f"{str(path)!r} does not fit space {self.space.name!r}: it is too small")
        supernet = make_supernet(self.space, self.manifest.data.mean, self.manifest.data.std)
        try:
            supernet.load_state_dict(load_tensors(path))
        except RuntimeError as error:
            raise InputError(f"{str(path)!r} does not fit space {self.space.name!r}") from error
        return supernet.eval()

    def _weights(self) -> int:
        """Count the parameters of the largest network; for a list of networks, of all of them together."""
        rows = np.array([[len(options) - 1 for options in self.space.decisions.values()]])
        if self.manifest.origin.enumerated and isinstance(self.space, Enumerable):
            rows = self.space.enumerate()
        return sum(layer.params() for row in rows for layer in self.space.layers(row))

    def network(self, architecture: Architecture) -> Network:
        """Return the plain network of an architecture with inherited weights and recalibrated batch norm."""
        return self.evaluator("val").network(architecture)

    def evaluate(
        self, architectures: Sequence[Architecture] | np.ndarray, split: str = "val", precision: str = FP32
    ) -> np.ndarray:
        """Measure (n,) accuracies in [0, 1] with inherited weights on "val" or "test".

        Args:
            architectures: the networks.
            split: "val" or "test".
            precision: "fp32", or "int8" for the accuracy of the network that would be exported in eight bits.

        Raises:
            InputError: unknown split or precision, an architecture of another space, or the images are not available.
        """
        return np.array([found.accuracy for found in self.recognised(architectures, split, precision)])

    def recognised(
        self, architectures: Sequence[Architecture] | np.ndarray, split: str = "val", precision: str = FP32
    ) -> list[Recognised]:
        """Measure accuracy and the recall of every class of some networks, as `evaluate` does."""
        if split not in ("val", "test"):
            raise unknown("split", split, ("val", "test"))
        codes = self.space.canonical(as_codes(self.space, architectures))
        weights = self.evaluator(split)
        if checked_precision(precision) == FP32:
            return weights.recognised(codes)
        from explorer.evaluators import EightBitWeights

        return EightBitWeights(weights).recognised(codes)

    def evaluator(self, split: str) -> SharedWeights:
        """Return an evaluator that measures accuracy with inherited weights on "val" or "test".

        Raises:
            InputError: the study itself has no images of this split.
        """
        require_torch("measuring accuracy")
        if not len(self.images.split(split)):
            raise InputError(
                f"study {self.manifest.name!r} has no {split} photographs in it, only "
                f"{self.manifest.data.packed[0]} for training and {self.manifest.data.packed[1]} for validation; name "
                f"the folder of all: {NEW_PLACE}"
            )
        from explorer.evaluators import SharedWeights

        return SharedWeights(self.supernet, self.images, split, calibration=self.manifest.calibration_images)
