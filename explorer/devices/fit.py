"""Fit a `LayerModel` to measurements of single blocks or of whole networks. Needs scipy.

Weights are non-negative (no work makes a network faster) and minimise relative errors, so small networks count as much
as large ones. The error comes from cross-validation, on rows that were held out; the device itself is fitted to all
rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.errors import InputError, require
from explorer.core.front import kendall_tau
from explorer.core.layer import Layer
from explorer.core.operators import MBConv
from explorer.core.protocols import SearchSpace
from explorer.core.work import FEATURES
from explorer.devices.base import LARGEST, Provenance
from explorer.devices.features import design
from explorer.devices.layer_model import LayerModel

FOLDS, COVERAGE = 5, 0.9
FEWEST = 30


def fit_layer_model(
    name: str, networks: Sequence[Sequence[Layer]], latency_ms: np.ndarray, provenance: Provenance, seed: int = 0
) -> LayerModel:
    """Fit a device to measured networks; a block measured alone is a network of one layer.

    Args:
        name: name of the device.
        networks: n lists of layers.
        latency_ms: (n,) milliseconds, all above 0.
        provenance: where the measurements come from; the held-out error is added to it.
        seed: seed of the cross-validation folds.

    Raises:
        InputError: fewer than 30 rows, fewer different networks than weights, or a latency that is not above 0.
        MissingExtra: scipy is not installed.
    """
    latency = np.asarray(latency_ms, float)
    if len(latency) < FEWEST:
        raise InputError(f"a device needs at least {FEWEST} measurements to be fitted, not {len(latency)}")
    bad = ~((latency >= 1e-9) & (latency <= LARGEST))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"measurement {row + 1} is {latency[row]} ms; expected a number above 0")
    x = design(networks)
    _check_different(x)
    weights = solve(x, latency)
    domain = domain_of(networks, latency)
    # seven digits, more than measurements have, keep files readable and change no price by more than a millionth
    kept = {f: float(f"{w:.7g}") for f, w in zip(FEATURES, weights) if w > 0}
    # a block table has only one classifier and one stem, so these cannot be held out
    scored = np.array([len(network) > 1 or isinstance(network[0], MBConv) for network in networks])
    error = held_out(x, latency, scored if scored.any() else ~scored, seed)
    return LayerModel(name, provenance.model_copy(update={"error": error}), kept, domain)


def _check_different(x: np.ndarray) -> None:
    """Check that there are at least as many different networks as unknown weights; a repetition says nothing new.

    Raises:
        InputError: there are fewer.
    """
    different, unknowns = len(np.unique(x, axis=0)), int((x != 0).any(0).sum())
    needed = max(2 * FOLDS, unknowns)
    if different < needed:
        raise InputError(
            f"the {len(x)} measurements are of {different} different network{'s' * (different != 1)}; "
            f"at least {needed} different ones are needed to fit the {unknowns} weights of this device"
        )


def solve(x: np.ndarray, latency: np.ndarray) -> np.ndarray:
    """Return the weights (F,) >= 0 with the least squared relative errors, for features (n, F) and latency (n,)."""
    require("scipy", "fitting a device")
    from scipy.optimize import nnls

    scale = np.maximum(x.max(0), 1e-12)
    solved: np.ndarray = nnls(x / scale / latency[:, None], np.ones(len(latency)))[0]
    return solved / scale


def held_out(x: np.ndarray, latency: np.ndarray, scored: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Return the error on held-out rows: {"mape", "kendall_tau", "band", "coverage", "networks"}.

    Args:
        x, latency: features (n, F) and latency (n,).
        scored: (n,) bool, rows that are held out in turn; the others are in every fit.
        seed: seed of the folds.
    """
    _, group = np.unique(x, axis=0, return_inverse=True)  # equal rows are always in the same fold
    fold = (np.random.default_rng(seed).permutation(group.max() + 1) % FOLDS)[group.ravel()]
    fold[~scored] = -1
    predicted = np.zeros(len(latency))
    for k in range(FOLDS):
        predicted[fold == k] = x[fold == k] @ solve(x[fold != k], latency[fold != k])
    return error_of(predicted[scored], latency[scored])


def error_of(predicted: np.ndarray, measured: np.ndarray) -> dict[str, float]:
    """Return mean absolute relative error, rank correlation, and the relative half-width that covers 90 % of rows."""
    relative = np.abs(predicted / measured - 1)
    return {
        "mape": round(float(relative.mean()), 4), "kendall_tau": round(kendall_tau(predicted, measured), 4),
        "band": round(float(np.quantile(relative, COVERAGE)), 4), "coverage": COVERAGE, "networks": len(measured),
    }  # fmt: skip


def fit_space(
    name: str, space: SearchSpace, codes: np.ndarray, latency_ms: np.ndarray, provenance: Provenance, seed: int = 0
) -> LayerModel:
    """Fit a device to whole networks of a space: codes (n, d) int8 and latency (n,) in ms."""
    return fit_layer_model(name, [space.layers(row) for row in codes], latency_ms, provenance, seed)


def domain_of(networks: Sequence[Sequence[Layer]], latency: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return the ranges that measurements cover: block sizes, channels and, of whole networks, latencies."""
    layers = {layer for network in networks for layer in network if isinstance(layer, MBConv)}
    domain: dict[str, tuple[float, float]] = {}
    if layers:
        sizes = [layer.size for layer in layers]
        channels = [c for layer in layers for c in (layer.cin, layer.cout)]
        domain = {"size": (min(sizes), max(sizes)), "channels": (min(channels), max(channels))}
    if any(len(network) > 1 for network in networks):
        domain["cost"] = (float(latency.min()), float(latency.max()))
    return {key: (float(low), float(high)) for key, (low, high) in domain.items()}
