"""A device from few measured networks: known devices as the start, corrected by what was measured. Needs scipy.

The latency is a weighted sum of known devices' latencies (non-negative weights, least squared relative errors), plus
corrections of single features that are drawn to zero; how strongly, is chosen by cross-validation. Known devices are
sums over features themselves, so the result is a `LayerModel` like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core.architecture import key_of
from explorer.core.errors import InputError, require, unknown
from explorer.core.layer import Layer
from explorer.core.protocols import SearchSpace
from explorer.core.work import FEATURES
from explorer.devices.base import LARGEST, Provenance
from explorer.devices.features import design
from explorer.devices.files import load_device, shipped_devices
from explorer.devices.fit import domain_of, error_of
from explorer.devices.layer_model import LayerModel
from explorer.devices.quantities import LATENCY
from explorer.spaces.operators import unique

FEWEST, ENOUGH = 10, 200  # measurements that are needed at all, and from which on known devices are not
STRENGTHS = (np.inf, 10.0, 1.0, 0.1, 0.01)  # how strongly corrections are drawn to zero; inf makes none
FOLDS = 10
CANDIDATES = 500  # random networks among which the next ones to measure are chosen


@dataclass(frozen=True)
class FewFit:
    """A device that was fitted to few networks.

    Attributes:
        device: the device, its held-out error in its provenance.
        start: known device -> its share of a typical latency, only those that have one.
        networks: number of measurements.
        far: numbers, from 1, of measurements that are more than twice or less than half of what the others predict.
    """

    device: LayerModel
    start: dict[str, float]
    networks: int
    far: tuple[int, ...]


def known_models(without: Sequence[str] = ()) -> list[LayerModel]:
    """Load the shipped latency models to start from, except those named.

    Raises:
        InputError: there is no shipped device of such a name.
    """
    for name in without:
        if name not in shipped_devices():
            raise unknown("known device", name, shipped_devices())
    found = [load_device(name) for name in shipped_devices() if name not in without]
    return [d for d in found if isinstance(d, LayerModel) and d.quantity == LATENCY and d.unit == "ms"]


def fit_few(
    name: str, networks: Sequence[Sequence[Layer]], latency_ms: np.ndarray, provenance: Provenance,
    known: Sequence[LayerModel], seed: int = 0,
) -> FewFit:  # fmt: skip
    """Fit a device to few whole networks.

    Args:
        name: name of the device.
        networks: n lists of layers.
        latency_ms: (n,) milliseconds.
        provenance: where the measurements come from; the held-out error is added to it.
        known: devices to start from, at least one.
        seed: seed of the cross-validation folds.

    Raises:
        InputError: fewer than 10 different networks, no known device, or a latency that is not above 0.
        MissingExtra: scipy is not installed.
    """
    latency, x = np.asarray(latency_ms, float), design(networks)
    if latency.shape != (len(networks),):
        raise InputError(f"{len(networks)} networks and latencies of shape {latency.shape}; expected one per network")
    different = len(np.unique(x, axis=0))
    if different < FEWEST:
        raise InputError(f"a device needs measurements of at least {FEWEST} different networks, not {different}")
    if not known:
        raise InputError("no known device to start from")
    bad = ~((latency >= 1e-9) & (latency <= LARGEST))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"measurement {row + 1} is {latency[row]} ms; expected a number above 0")
    weights, fold = np.array([_weights(model) for model in known]), _folds(x, seed)
    held_out = {strength: _held_out(x, latency, weights, fold, strength) for strength in STRENGTHS}
    strength = _chosen({s: np.log(predicted / latency) ** 2 for s, predicted in held_out.items()})
    solved, shares = _solve(x, latency, weights, strength)
    kept = {f: float(f"{w:.7g}") for f, w in zip(FEATURES, solved) if w > 0}
    start = {model.name: round(float(s), 3) for model, s in zip(known, shares) if s >= 0.005}
    note = f"fitted to {len(latency)} networks, starting from {', '.join(start) or 'no known device'}"
    about = provenance.model_copy(update={
        "error": error_of(held_out[strength], latency), "note": f"{provenance.note}; {note}".strip("; "),
    })  # fmt: skip
    off = np.abs(np.log(held_out[strength] / latency)) > np.log(2)
    far = tuple(int(row) + 1 for row in np.flatnonzero(off))
    return FewFit(LayerModel(name, about, kept, domain_of(networks, latency)), start, len(latency), far)


def worth_measuring(
    space: SearchSpace, networks: Sequence[Sequence[Layer]], known: Sequence[LayerModel], n: int = 5, seed: int = 0
) -> list[str]:
    """Propose networks on whose latency a fit is least certain, one after the other (greedy D-optimal design).

    Args:
        space: the space to choose from.
        networks: lists of layers that were measured.
        known: devices that the fit starts from.
        n: number of proposals.
        seed: seed of the random networks among which they are chosen.

    Returns:
        Keys, the most telling first.
    """
    codes = unique(space.sample(CANDIDATES, np.random.default_rng(seed)))
    x, weights = design(networks), np.array([_weights(model) for model in known])

    def relative(rows: np.ndarray) -> np.ndarray:
        columns, *_ = _columns(rows, np.ones(len(rows)), weights, x)
        return np.asarray(columns / np.maximum(columns[:, : len(weights)].mean(1, keepdims=True), 1e-12))

    measured, among = relative(x), relative(design([space.layers(row) for row in codes]))
    spread = np.linalg.inv(measured.T @ measured + np.eye(measured.shape[1]))
    chosen: list[str] = []
    for _ in range(min(n, len(codes))):
        at = int(np.einsum("ij,jk,ik->i", among, spread, among).argmax())
        chosen.append(key_of(space, codes[at]))
        step = spread @ among[at]
        spread = spread - np.outer(step, step) / (1 + among[at] @ step)
    return chosen


def _weights(model: LayerModel) -> np.ndarray:
    return model.scale * np.array([model.weights.get(feature, 0.0) for feature in FEATURES])


def _columns(
    rows: np.ndarray, latency: np.ndarray, weights: np.ndarray, typical: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the unknowns' columns (n, K + F) for features (n, F), and their scales (K,) and (F,).

    Over the `typical` features, every column has the mean of the latencies.
    """
    amount, level = typical.mean(0), latency.mean()
    per_model = level / np.maximum(typical @ weights.T, 1e-12).mean(0)
    per_feature = np.where(amount > 0, level / np.where(amount > 0, amount, 1.0), 0.0)
    return np.hstack([rows @ weights.T * per_model, rows * per_feature]), per_model, per_feature


def _solve(x: np.ndarray, latency: np.ndarray, weights: np.ndarray, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Fit (F,) weights >= 0; also return the (K,) share that every known device has in a typical latency."""
    require("scipy", "fitting a device")
    from scipy.optimize import nnls

    columns, per_model, per_feature = _columns(x, latency, weights, x)
    k = len(weights)
    if not np.isfinite(strength):
        solved = np.concatenate(
            [nnls(columns[:, :k] / latency[:, None], np.ones(len(latency)))[0], np.zeros(x.shape[1])]
        )
    else:
        drawn = np.diag(np.concatenate([np.zeros(k), np.full(x.shape[1], np.sqrt(strength))]))[k:]
        left = np.vstack([columns / latency[:, None], drawn])
        solved = nnls(left, np.concatenate([np.ones(len(latency)), np.zeros(len(drawn))]))[0]
    return (solved[:k] * per_model) @ weights + solved[k:] * per_feature, solved[:k]


def _folds(x: np.ndarray, seed: int) -> np.ndarray:
    """Assign rows to folds, equal networks to one: (n,) int."""
    _, group = np.unique(x, axis=0, return_inverse=True)
    count = int(group.max()) + 1
    return np.asarray((np.random.default_rng(seed).permutation(count) % min(FOLDS, count))[group.ravel()])


def _held_out(x: np.ndarray, latency: np.ndarray, weights: np.ndarray, fold: np.ndarray, strength: float) -> np.ndarray:
    """Predict every row by a fit that has not seen its fold: (n,)."""
    predicted = np.zeros(len(latency))
    for k in range(fold.max() + 1):
        out = fold == k
        predicted[out] = x[out] @ _solve(x[~out], latency[~out], weights, strength)[0]
    return np.maximum(predicted, 1e-9)


def _chosen(errors: dict[float, np.ndarray]) -> float:
    """Choose the strongest draw whose error is within one standard error of the smallest."""
    means = {strength: float(e.mean()) for strength, e in errors.items()}
    best = min(means, key=lambda strength: means[strength])
    gap = {s: errors[s] - errors[best] for s in errors}
    within = [s for s in errors if gap[s].mean() <= gap[s].std() / np.sqrt(len(gap[s]))]
    return max(within)
