"""Features of layers (`Layer.work`) as arrays; fitted devices are a weighted sum of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from explorer.core.layer import Layer
from explorer.core.work import FEATURES


@lru_cache(100_000)
def features(layer: Layer) -> np.ndarray:
    """Return the features of one layer, (len(FEATURES),) float64, read-only.

    Raises:
        InputError: no feature describes the layer's kernel and stride.
    """
    values = layer.work().values
    values.setflags(write=False)
    return values


def design(networks: Sequence[Sequence[Layer]]) -> np.ndarray:
    """Return the sum of features over each network's layers, (n, len(FEATURES))."""
    return np.array([sum(map(features, layers), np.zeros(len(FEATURES))) for layers in networks])
