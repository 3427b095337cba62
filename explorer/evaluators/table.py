"""Evaluator that looks up measured accuracies, as used for table spaces. No torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.architecture import as_codes
from explorer.core.errors import InputError
from explorer.core.protocols import SearchSpace
from explorer.evaluators.scoring import Scored

BAND = 1.645  # half-width of a 90 % interval, in standard errors


class Table:
    """An evaluator that looks up measured accuracies.

    Args:
        space: a search space with few networks.
        scored: all networks with their accuracies.
        images: number of images that each accuracy was measured on; it determines the width of `interval`.
    """

    warning = ""  # measured accuracies need none, see `Predictor.warning`

    def __init__(self, space: SearchSpace, scored: Scored, images: int) -> None:
        self.space, self.images = space, images
        self._known = {row.tobytes(): float(a) for row, a in zip(scored.codes, scored.accuracy)}

    def evaluate(self, codes: np.ndarray | Sequence) -> np.ndarray:
        """(n, d) int8 -> (n,) accuracy in [0, 1].

        Raises:
            InputError: an architecture was not measured.
        """
        rows = self.space.canonical(as_codes(self.space, codes))
        missing = [row for row in rows if row.tobytes() not in self._known]
        if missing:
            raise InputError(f"architecture {missing[0].tolist()} of space {self.space.name!r} was not measured")
        return np.array([self._known[row.tobytes()] for row in rows])

    def interval(self, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return 90 % intervals (low, high), (n,) each, for the accuracy on new images from the same distribution."""
        accuracy = np.asarray(accuracy, float)
        half = BAND * np.sqrt(accuracy * (1 - accuracy) / max(1, self.images))
        return np.clip(accuracy - half, 0, 1), np.clip(accuracy + half, 0, 1)
