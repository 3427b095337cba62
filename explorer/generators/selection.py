"""Budget enforcement: among the draws for a request, keep the most accurate one that meets its limits.

The limits are always checked against the costs that the devices compute, never against a generator's estimate. If no
draw fits, the network with the smallest overshoot is returned instead and marked as a fallback. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices.population import costs_of, meets, nearest


@dataclass(frozen=True)
class Selection:
    """The selected network for each of n requests.

    Attributes:
        codes: (n, d) int8 architectures.
        accuracy: (n,) accuracy given by the evaluator.
        costs: (n, m), one column per device.
        feasible: (n,) bool: the network meets every limit.
        fallback: (n,) bool: no draw met the limits, so the nearest reachable network was taken.
    """

    codes: np.ndarray
    accuracy: np.ndarray
    costs: np.ndarray
    feasible: np.ndarray
    fallback: np.ndarray


def select(
    space: SearchSpace, devices: Sequence[Device], evaluator: Evaluator, limits: np.ndarray, draws: np.ndarray,
    request: np.ndarray,
) -> Selection:  # fmt: skip
    """Select the most accurate draw that meets the limits, for each request.

    Args:
        space, devices: used to compute the costs of the draws; there is one column of `limits` per device.
        evaluator: ranks the draws that meet the limits.
        limits: (n, m), NaN where unconstrained.
        draws: (u, d) int8, canonical.
        request: (u,) index of the row of `limits` that each draw belongs to; every row has at least one draw.
    """
    n = len(limits)
    if n == 0:
        empty = np.zeros(0)
        return Selection(draws, empty, np.zeros((0, len(devices))), empty.astype(bool), empty.astype(bool))
    flat, inverse = unique_rows(draws)
    fits = meets(costs_of(space, devices, flat)[inverse], limits[request])
    worth = np.full(len(flat), -np.inf)
    needed = np.unique(inverse[fits])
    worth[needed] = evaluator.evaluate(flat[needed])
    score = np.where(fits, worth[inverse], -np.inf)
    order = np.lexsort((score, request))
    best = order[np.flatnonzero(np.append(np.diff(request[order]) > 0, True))]
    codes, accuracy = draws[best].copy(), score[best]
    fallback = np.isneginf(accuracy)
    for row in np.flatnonzero(fallback):
        codes[row] = nearest(space, devices, limits[row])
    if fallback.any():
        accuracy[fallback] = evaluator.evaluate(codes[fallback])
    costs = costs_of(space, devices, codes)
    return Selection(codes, accuracy, costs, meets(costs, limits), fallback)


def unique_rows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the distinct rows of an int8 array, and the index of each original row among them."""
    rows: Any = np.ascontiguousarray(codes)
    packed = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel()
