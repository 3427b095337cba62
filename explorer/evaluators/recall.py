"""How well every class is recognised: accuracy alone hides a class that is never named. Needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Recognised:
    """What a network says about the images of one split.

    Attributes:
        accuracy: share of images that are recognised, in [0, 1].
        recall: class -> share of its images that are recognised; classes without images are left out.
        majority: share of the largest class, the accuracy of always naming it.
        images: number of images.
        said: (images,) class index that the network names for every image.
    """

    accuracy: float
    recall: dict[str, float]
    majority: float
    images: int
    said: np.ndarray = field(repr=False, compare=False)

    @property
    def balanced(self) -> float:
        """Balanced accuracy: the mean recall of all classes that have images."""
        return float(np.mean(list(self.recall.values())))


def recognised(said: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Recognised:
    """Compare what a network says (n,) with the labels (n,), both as class indices.

    >>> recognised(np.array([0, 0, 0, 0]), np.array([0, 0, 0, 1]), ["cat", "dog"])
    Recognised(accuracy=0.75, recall={'cat': 1.0, 'dog': 0.0}, majority=0.75, images=4)
    """
    right, counts = said == labels, np.bincount(labels, minlength=len(classes))
    recall = {name: float(right[labels == i].mean()) for i, name in enumerate(classes) if counts[i]}
    return Recognised(float(right.mean()), recall, float(counts.max() / counts.sum()), len(labels), said)
