"""What networks say about every image of a split, with small pictures of them, in one file that needs no torch to read.

A page shows from it which photographs a network recognises, which it confuses, and what changes between two networks.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.evaluators.recall import Recognised, recognised

if TYPE_CHECKING:
    from explorer.study.study import Study

PICTURES, SIDE = 2000, 96  # images that are kept as pictures, and the longest side of one, in pixels


@dataclass(frozen=True)
class Answers:
    """What k networks say about the n images of one split.

    Attributes:
        split: "val" or "test".
        classes: class names.
        keys: k architecture keys.
        labels: (n,) class indices.
        said: (k, n) class indices.
        pictures: (m, height, width, channels) uint8, of the first m images, m <= n.
    """

    split: str
    classes: list[str]
    keys: list[str]
    labels: np.ndarray
    said: np.ndarray
    pictures: np.ndarray

    def recognised(self, key: str) -> Recognised:
        """Accuracy and recall of a network."""
        return recognised(self.said[self.keys.index(key)], self.labels, self.classes)

    def confusion(self, key: str) -> np.ndarray:
        """(c, c) number of images of a class (row) for which the network names a class (column)."""
        found = np.zeros((len(self.classes),) * 2, int)
        np.add.at(found, (self.labels, self.said[self.keys.index(key)]), 1)
        return found

    def changed(self, before: str, after: str) -> tuple[np.ndarray, np.ndarray]:
        """Images that `after` recognises and `before` does not, and the other way round: two arrays of rows."""
        old, new = (self.said[self.keys.index(key)] == self.labels for key in (before, after))
        return np.flatnonzero(new & ~old), np.flatnonzero(old & ~new)

    def joined(self, other: Answers) -> Answers:
        """These answers and those of other networks about the same images."""
        fresh = [i for i, key in enumerate(other.keys) if key not in self.keys]
        keys = [*self.keys, *(other.keys[i] for i in fresh)]
        said = np.concatenate([self.said, other.said[fresh]])
        return Answers(self.split, self.classes, keys, self.labels, said, self.pictures)

    def save(self, path: Path) -> None:
        """Write the file."""
        np.savez_compressed(
            path, split=self.split, classes=self.classes, keys=self.keys, labels=self.labels, said=self.said,
            pictures=self.pictures,
        )  # fmt: skip


def read_answers(path: Path) -> Answers:
    """Read the file that `Answers.save` wrote.

    Raises:
        InputError: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            return Answers(
                str(data["split"]), [str(name) for name in data["classes"]], [str(key) for key in data["keys"]],
                data["labels"], data["said"], data["pictures"],
            )  # fmt: skip
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{str(path)!r} has no answers of networks") from error


def answers_of(
    study: Study, architectures: Sequence[Architecture], split: str = "val", precision: str | None = None
) -> Answers:
    """Let networks with inherited weights classify the images of a split (loads torch).

    Args:
        study: a study with weights.
        architectures: networks.
        split: "val", or "test" for a final report: who chooses networks by test images has none left to judge them.
        precision: "fp32" or "int8".

    Raises:
        InputError: the study has no weights, or no images of this split.
    """
    found = study.recognised(architectures, split, precision)
    images = study.measured.images.split(split)
    step = -(-images.images.shape[-1] // SIDE)
    pictures = images.images[:PICTURES, :, ::step, ::step].permute(0, 2, 3, 1).contiguous().numpy()
    keys = [architecture.key for architecture in architectures]
    said = np.stack([one.said for one in found])
    return Answers(split, list(study.measured.images.classes), keys, images.labels.numpy(), said, pictures)
