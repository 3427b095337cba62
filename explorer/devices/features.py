"""The features of layers (`Layer.work`) as arrays: what fitted devices weigh."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from explorer.core.layer import Layer
from explorer.core.work import FEATURES


@lru_cache(100_000)
def features(layer: Layer) -> np.ndarray:
    """(len(FEATURES),) float64 of one layer, read-only.

    Raises:
        InputError: a kernel or stride that no feature describes.
    """
    values = layer.work().values
    values.setflags(write=False)
    return values


def design(networks: Sequence[Sequence[Layer]]) -> np.ndarray:
    """(n, len(FEATURES)): the sum over each network's layers."""
    return np.array([sum(map(features, layers), np.zeros(len(FEATURES))) for layers in networks])
