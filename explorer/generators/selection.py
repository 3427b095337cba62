"""The budget promise: of the draws of one pass, the best that fits is kept; true costs decide, always.

Candidates are the draws and the space's cheapest network. When nothing fits, the nearest reachable network is
returned and marked as such. numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices.population import costs_of, nearest, overshoot


@dataclass(frozen=True)
class Selection:
    """What was kept for n requests.

    Attributes:
        codes: (n, d) int8.
        accuracy: (n,) predicted.
        costs: (n, m).
        feasible: (n,) bool: meets every limit.
        fallback: (n,) bool: no draw fitted, the cheapest network was taken.
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
    """Keep the best draw that fits.

    Args:
        space, devices: price the draws; one column of `limits` per device.
        evaluator: ranks those that fit.
        limits: (n, m), NaN where free.
        draws: (u, d) int8, canonical.
        request: (u,) row of `limits` that each draw belongs to; every row has at least one.
    """
    n = len(limits)
    if n == 0:
        empty = np.zeros(0)
        return Selection(draws, empty, np.zeros((0, len(devices))), empty.astype(bool), empty.astype(bool))
    flat, inverse = unique_rows(draws)
    fits = overshoot(costs_of(space, devices, flat)[inverse], limits[request]) <= 1
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
    return Selection(codes, accuracy, costs, overshoot(costs, limits) <= 1, fallback)


def unique_rows(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of an int8 array, and where each row went."""
    rows: Any = np.ascontiguousarray(codes)
    packed = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, inverse = np.unique(packed, return_index=True, return_inverse=True)
    return rows[first], inverse.ravel()
