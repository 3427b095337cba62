"""Decisions after a search: which network of a front to choose. Knees and pseudo-weights come from pymoo's `mcdm`.

Every function takes a `Front`, which is never changed; most return a `Candidate`, several, or a smaller `Front`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from explorer.core.errors import InputError, require, unknown
from explorer.core.front import Candidate, Front, objectives


def within(front: Front, budgets: Mapping[str, float]) -> Front:
    """Return the networks of a front that meet the budgets (device name -> highest cost); there may be none."""
    keep = np.ones(len(front), bool)
    for name, most in budgets.items():
        keep &= front.costs[:, _column(front, name)] <= most
    return _rows(front, np.flatnonzero(keep))


def best(front: Front, budgets: Mapping[str, float]) -> Candidate:
    """Return the most accurate network that meets the budgets (device name -> highest cost).

    Raises:
        InputError: no network meets them; the message gives the lowest costs on the front.
    """
    fitting = within(front, budgets)
    if len(fitting) == 0:
        least = ", ".join(f"{name} {front.costs[:, _column(front, name)].min():.4g}" for name in budgets)
        raise InputError(f"no network of this front is within {dict(budgets)}; the lowest costs on it are {least}")
    return _one(fitting, int(fitting.accuracy.argmax()))


def knees(front: Front) -> list[Candidate]:
    """Return the knees of a front: near them, a small gain in one objective costs much in another (needs pymoo)."""
    require("pymoo", "finding knees")
    from pymoo.mcdm.high_tradeoff import HighTradeoffPoints

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = HighTradeoffPoints().do(_scaled(front))
    return [_one(front, int(i)) for i in np.atleast_1d(rows if rows is not None else [])]


def by_weights(front: Front, weights: Mapping[str, float]) -> Candidate:
    """Return the network whose pseudo-weights are nearest to the given weights (Deb 2001; needs pymoo).

    Args:
        front: the front to choose from.
        weights: how much "accuracy" and every device of the front matter, at least 0; they are scaled to a sum of 1.
    """
    require("pymoo", "pseudo-weights")
    from pymoo.mcdm.pseudo_weights import PseudoWeights

    values = _complete(front, weights, "weight")
    if (values < 0).any() or values.sum() == 0:
        raise InputError(f"weights = {dict(weights)}; expected numbers of at least 0, one of them above 0")
    return _one(front, int(PseudoWeights(values / values.sum()).do(_scaled(front))))


def nearest_to(front: Front, wishes: Mapping[str, float]) -> Candidate:
    """Return the network nearest to a reference point: its largest scaled shortfall is the smallest (Wierzbicki 1980).

    Args:
        front: the front to choose from.
        wishes: the reference point: the desired "accuracy" in [0, 1] and cost on every device, reachable or not.
    """
    values = _complete(front, wishes, "wish")
    point = np.array([1 - values[0], *values[1:]])
    points = objectives(front.accuracy, front.costs)
    scale = np.maximum(np.ptp(points, axis=0), 1e-12)
    return _one(front, int(((points - point) / scale).max(1).argmin()))


def one_more(front: Front, device: str, at: float, step: float = 1.0) -> float:
    """Return the gain in accuracy, in [0, 1], when a device's budget rises from `at` to `at + step`."""
    column = front.costs[:, _column(front, device)]
    before, after = (front.accuracy[column <= limit] for limit in (at, at + step))
    return float(after.max() - before.max()) if len(before) and len(after) else 0.0


def _column(front: Front, name: str) -> int:
    if name not in front.devices:
        raise unknown("device", name, front.devices)
    return front.devices.index(name)


def _complete(front: Front, values: Mapping[str, float], what: str) -> np.ndarray:
    names = ("accuracy", *front.devices)
    if set(values) != set(names):
        raise InputError(f"a {what} is needed for each of {', '.join(names)}; got {', '.join(values) or 'none'}")
    return np.array([float(values[name]) for name in names])


def _scaled(front: Front) -> np.ndarray:
    points = objectives(front.accuracy, front.costs)
    return np.asarray((points - points.min(0)) / np.maximum(np.ptp(points, axis=0), 1e-12))


def _rows(front: Front, rows: np.ndarray) -> Front:
    return replace(front, codes=front.codes[rows], accuracy=front.accuracy[rows], costs=front.costs[rows])


def _one(front: Front, row: int) -> Candidate:
    return next(iter(_rows(front, np.array([row]))))
