"""Fit a `LayerModel` to measurements: of single blocks, or of whole networks. Needs scipy.

Weights are non-negative (no work makes a network faster) and minimise relative errors, so a small network counts as
much as a large one. The error is measured on rows that were held out, fold by fold; the device itself is fitted on all.
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
    """Fit to measured networks; a block measured alone is a network of one layer.

    Args:
        name: of the device.
        networks: (n) lists of layers.
        latency_ms: (n,) milliseconds, all above 0.
        provenance: where the measurements come from; the held-out error is added to it.
        seed: of the folds.

    Raises:
        InputError: fewer than 30 rows, or a latency that is not above 0.
        MissingExtra: without scipy.
    """
    latency = np.asarray(latency_ms, float)
    if len(latency) < FEWEST:
        raise InputError(f"a device needs at least {FEWEST} measurements to be fitted, not {len(latency)}")
    bad = ~((latency >= 1e-9) & (latency <= LARGEST))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise InputError(f"measurement {row + 1} is {latency[row]} ms; expected a number above 0")
    x = design(networks)
    weights = solve(x, latency)
    domain = _domain(networks, latency)
    # fewer digits than were measured in keep files readable and change no price by more than a millionth
    kept = {f: float(f"{w:.7g}") for f, w in zip(FEATURES, weights) if w > 0}
    # a classifier or a stem is the only one of its kind in a block table, so it cannot be left out
    scored = np.array([len(network) > 1 or isinstance(network[0], MBConv) for network in networks])
    error = held_out(x, latency, scored if scored.any() else ~scored, seed)
    return LayerModel(name, provenance.model_copy(update={"error": error}), kept, domain)


def solve(x: np.ndarray, latency: np.ndarray) -> np.ndarray:
    """(n, F), (n,) -> (F,) weights >= 0 that minimise the sum of squared relative errors."""
    require("scipy", "fitting a device")
    from scipy.optimize import nnls

    scale = np.maximum(x.max(0), 1e-12)
    solved: np.ndarray = nnls(x / scale / latency[:, None], np.ones(len(latency)))[0]
    return solved / scale


def held_out(x: np.ndarray, latency: np.ndarray, scored: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Error on rows that no fit has seen: {"mape", "kendall_tau", "band", "coverage", "networks"}.

    Args:
        x, latency: (n, F), (n,).
        scored: (n,) bool: rows that are left out in turn; the others are in every fit.
        seed: of the folds.
    """
    _, group = np.unique(x, axis=0, return_inverse=True)  # equal rows are never on both sides
    fold = (np.random.default_rng(seed).permutation(group.max() + 1) % FOLDS)[group.ravel()]
    fold[~scored] = -1
    predicted = np.zeros(len(latency))
    for k in range(FOLDS):
        predicted[fold == k] = x[fold == k] @ solve(x[fold != k], latency[fold != k])
    return error_of(predicted[scored], latency[scored])


def error_of(predicted: np.ndarray, measured: np.ndarray) -> dict[str, float]:
    """Mean absolute relative error, rank correlation, and the relative half-width that covers 90 % of the rows."""
    relative = np.abs(predicted / measured - 1)
    return {
        "mape": round(float(relative.mean()), 4), "kendall_tau": round(kendall_tau(predicted, measured), 4),
        "band": round(float(np.quantile(relative, COVERAGE)), 4), "coverage": COVERAGE, "networks": len(measured),
    }  # fmt: skip


def fit_space(
    name: str, space: SearchSpace, codes: np.ndarray, latency_ms: np.ndarray, provenance: Provenance, seed: int = 0
) -> LayerModel:
    """Fit to whole networks of a space: codes (n, d) int8 and latency (n,)."""
    return fit_layer_model(name, [space.layers(row) for row in codes], latency_ms, provenance, seed)


def _domain(networks: Sequence[Sequence[Layer]], latency: np.ndarray) -> dict[str, tuple[float, float]]:
    layers = {layer for network in networks for layer in network if isinstance(layer, MBConv)}
    domain: dict[str, tuple[float, float]] = {}
    if layers:
        sizes = [layer.size for layer in layers]
        channels = [c for layer in layers for c in (layer.cin, layer.cout)]
        domain = {"size": (min(sizes), max(sizes)), "channels": (min(channels), max(channels))}
    if any(len(network) > 1 for network in networks):
        domain["cost"] = (float(latency.min()), float(latency.max()))
    return {key: (float(low), float(high)) for key, (low, high) in domain.items()}
