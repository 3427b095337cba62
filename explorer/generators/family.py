"""A family of devices to train on: the given ones, mixtures of them, and random but plausible ones. numpy only.

A plausible device prices a layer by its work (`core.work`): a constant per operator, 1x1 convolutions, depthwise ones
that grow with their kernel, weights and activations, in random shares of which few are large, so that it is bound by
overhead, by one kind of computation or by memory. Every table entry is off by some per cent, as in a measured table.
Some devices are not additive: the slower of two, their product, or the root of the sum of their squares. Costs of a
population on the whole family are array arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.errors import InputError
from explorer.core.protocols import Device, SearchSpace
from explorer.core.work import FEATURES
from explorer.devices.features import features
from explorer.devices.population import costs_of
from explorer.spaces.base import Compilable

OFF = 0.05  # standard deviation of the logarithm of a table entry's error
OPERATORS = ("stem", "1x1", "dw", "se", "hswish", "residual", "vector", "pool")  # features that count operators
SHARES = {"operators": 0.4, "pointwise": 0.35, "depthwise": 0.45, "weights": 0.25, "activations": 0.25}
STEEPEST = 3.0  # highest power of the kernel with which the price of a depthwise output grows
UNEVEN = 0.25  # standard deviation of the logarithm of a depthwise price around that power
COMBINED = 0.15, 0.1  # devices that combine two others, and mixtures of the given ones, as shares of the random ones


class Family:
    """Given devices and random ones of a space.

    Args:
        space: the space; one without `parts()` has no random devices, only mixtures of the given ones.
        devices: the given devices; they are the first of the family.
        size: number of random devices; 0 leaves the given ones alone.
        typical: (n, d) networks of all sizes, which say how much work is typical.
        rng: source of all random numbers.
    """

    def __init__(
        self, space: SearchSpace, devices: Sequence[Device], size: int, typical: np.ndarray, rng: np.random.Generator
    ) -> None:
        self.space, self.devices = space, list(devices)
        given = costs_of(space, devices, typical)
        self._scale = np.nanmean(given, 0)
        mixed = int(np.ceil(COMBINED[1] * size)) if len(devices) > 1 else 0
        self._mix = rng.dirichlet(np.full(len(devices), 0.5), mixed).T
        self._tables: list[tuple[tuple[int, ...], tuple[int, ...], np.ndarray]] = []
        self._offset, self._pairs, self._kind = np.zeros(0), np.zeros((0, 2), int), np.zeros(0, int)
        work = work_of(space) if size and isinstance(space, Compilable) else None
        if work is None:
            return
        amount = sum(table[rows] for table, rows in zip([t for *_, t in work], _rows(work, typical)))
        weights = plausible(np.asarray(amount).mean(0), size, rng)
        self._tables = [
            (genes, shape, (table @ weights * np.exp(OFF * rng.normal(size=(len(table), size)))).astype(np.float32))
            for genes, shape, table in work
        ]
        self._offset = np.zeros(size)
        mean = self._plausible(typical).mean(0)
        self._offset = mean * rng.random(size) * rng.choice([0, 0, 0.3, 1.0], size)
        self._pairs = rng.integers(0, size, (int(COMBINED[0] * size), 2))
        self._kind, self._mean = rng.integers(0, 3, len(self._pairs)), mean

    def costs(self, codes: np.ndarray) -> np.ndarray:
        """Price a population on the whole family: (n, d) -> (n, F), the given devices first, NaN without a price."""
        given = costs_of(self.space, self.devices, codes)
        found = [given, (given / self._scale) @ self._mix]
        if self._tables:
            alone = self._plausible(codes)
            a, b = (alone[:, i] / self._mean[i] for i in self._pairs.T)
            joined = np.where(self._kind == 0, np.maximum(a, b), np.where(self._kind == 1, a * b, np.hypot(a, b)))
            found += [alone, joined]
        return np.concatenate(found, 1)

    def _plausible(self, codes: np.ndarray) -> np.ndarray:
        work = _rows(self._tables, codes)
        total: np.ndarray = sum(table[rows] for (*_, table), rows in zip(self._tables, work))  # type: ignore[assignment]
        return total + self._offset


Tables = Sequence[tuple[tuple[int, ...], tuple[int, ...], np.ndarray]]


def _rows(tables: Tables, codes: np.ndarray) -> list[np.ndarray]:
    """Find the row of every network in the table of every part."""
    found = []
    for genes, shape, _ in tables:
        rows = np.zeros(len(codes), np.intp)
        for gene, options in zip(genes, shape):
            rows = rows * options + codes[:, gene]
        found.append(rows)
    return found


def work_of(space: Compilable) -> Tables | None:
    """Compute the work of every part of a space: (genes, numbers of options, (combinations, features)) per part.

    Returns None for a space with layers that no feature describes.
    """
    counts = [len(options) for options in space.decisions.values()]
    tables = []
    for part in space.parts():
        shape = tuple(counts[g] for g in part.genes)
        try:
            rows = [
                sum((features(layer) for layer in part.layers(choices)), np.zeros(len(FEATURES)))
                for choices in np.ndindex(*shape)
            ]
        except InputError:
            return None
        tables.append((part.genes, shape, np.array(rows)))
    return tables


def plausible(typical: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n random prices of work: (F,) typical amounts -> (F, n) prices >= 0, with a typical cost of about 1.

    A device spends random shares of a typical network's cost on each kind of work; a small parameter in `SHARES` makes
    that share small on most devices and large on some. Within a kind, the features have equal or random weights.
    """
    kinds = np.array([_kind(feature) for feature in FEATURES])
    prices = np.zeros((len(FEATURES), n))
    for kind, share in zip(SHARES, rng.dirichlet(list(SHARES.values()), n).T):
        own = np.flatnonzero((kinds == kind) & (typical > 0))
        if not len(own):
            continue
        if kind == "depthwise":
            spent = _depthwise([FEATURES[i] for i in own], typical[own, None], n, rng)
        else:
            spent = np.where(rng.random(n) < 0.5, 1.0, rng.gamma(0.5, size=(len(own), n))) + 1e-9
            spent *= np.where(rng.random(n) < 0.5, typical[own, None], 1.0)  # equal prices, or equal costs
        prices[own] = share * spent / spent.sum(0) / typical[own, None]
    return prices


def _kind(feature: str) -> str:
    """Say what kind of work a feature counts."""
    if feature in OPERATORS:
        return "operators"
    if feature.startswith(("dw out", "dw rows")):
        return "depthwise"
    if "macs" in feature:
        return "pointwise"
    return "weights" if "weights" in feature or "channels" in feature else "activations"


def _depthwise(features: Sequence[str], typical: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw what n devices spend on depthwise convolutions: (f, 1) typical amounts -> (f, n), arbitrary unit.

    The price of an output, and that of a row of outputs, is about a power of the kernel's size, of the same exponent.
    """
    kernel = np.array([[int(feature.split(" k")[1][0])] for feature in features]) / 3
    spent = typical * kernel ** rng.uniform(0, STEEPEST, n) * np.exp(UNEVEN * rng.normal(size=(len(features), n)))
    rows = np.array([feature.startswith("dw rows") for feature in features])
    for own, share in ((rows, part := rng.beta(0.3, 0.5, n)), (~rows, 1 - part)):
        spent[own] *= share / np.maximum(spent[own].sum(0), 1e-300)
    return np.asarray(spent)
