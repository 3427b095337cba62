"""Pareto fronts and candidates: the results of search and generation.

Dominance and hypervolume are computed by moocore. Accuracy is maximised, costs are minimised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import moocore
import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.protocols import SearchSpace


@dataclass(frozen=True)
class Candidate:
    """An architecture with its accuracy and costs.

    Attributes:
        architecture: the architecture.
        accuracy: in [0, 1]; predicted unless `source` says otherwise.
        interval: (low, high) bounds of the accuracy.
        costs: device name -> cost in the device's unit.
        feasible: whether it meets the requested budget.
        generator: name of the generator that produced it.
        source: how the accuracy was obtained: "predicted" or "measured".
        precision: of the network that has this accuracy: "fp32" or "int8".
    """

    architecture: Architecture
    accuracy: float
    interval: tuple[float, float]
    costs: Mapping[str, float]
    feasible: bool = True
    generator: str = ""
    source: str = "predicted"
    precision: str = "fp32"

    @property
    def key(self) -> str:
        """The architecture's key."""
        return self.architecture.key


@dataclass(frozen=True)
class Front:
    """Non-dominated architectures, sorted by ascending cost on the first device; iterating yields `Candidate`s.

    Attributes:
        space: the search space.
        codes: (n, d) int8 option indices.
        accuracy: (n,) in [0, 1].
        costs: (n, m), one column per device.
        devices: device name of each column of `costs`.
        evaluations: number of architectures that were evaluated to find the front.
        reference: reference point (error, cost, ...) of the hypervolume.
        source: how the accuracies were obtained: "predicted" or "measured".
    """

    space: SearchSpace
    codes: np.ndarray
    accuracy: np.ndarray
    costs: np.ndarray
    devices: tuple[str, ...]
    evaluations: int = 0
    reference: tuple[float, ...] = ()
    source: str = field(default="predicted")

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Candidate]:
        for one, accuracy, costs in zip(Architecture.many(self.space, self.codes), self.accuracy, self.costs):
            yield Candidate(
                one, float(accuracy), (float(accuracy), float(accuracy)),
                dict(zip(self.devices, map(float, costs))), True, "", self.source,
            )  # fmt: skip

    @property
    def hypervolume(self) -> float:
        """Hypervolume of the front up to `reference`, in error x costs."""
        return hypervolume(self.accuracy, self.costs, self.reference)


def objectives(accuracy: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Stack accuracies (n,) and costs (n, m) into objectives (n, 1 + m), all minimised: error, then costs."""
    return np.column_stack([1 - np.asarray(accuracy, float), np.asarray(costs, float)])


def nondominated(accuracy: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return the indices of non-dominated rows, sorted by the first cost; of equal points the first is kept.

    Rows without a cost (NaN) are left out.
    """
    points = objectives(accuracy, costs)
    known = np.flatnonzero(~np.isnan(points).any(1))
    if len(known) == 0:
        return np.zeros(0, int)
    rows = known[moocore.is_nondominated(points[known], keep_weakly=False)]
    return rows[np.lexsort((points[rows, 0], points[rows, 1]))]


def hypervolume(accuracy: np.ndarray, costs: np.ndarray, reference: Sequence[float]) -> float:
    """Return the hypervolume that a population dominates, up to the reference point (error, cost, ...).

    >>> hypervolume(np.array([1 - 24, 1 - 20]), np.array([[10.0], [20.0]]), (25, 100))
    410.0
    """
    points = objectives(accuracy, costs)
    points = points[~np.isnan(points).any(1)]
    return float(moocore.hypervolume(points, ref=np.asarray(reference, float))) if len(points) else 0.0


def make_front(
    space: SearchSpace, codes: np.ndarray, accuracy: np.ndarray, costs: np.ndarray, devices: Sequence[str],
    reference: Sequence[float] | None = None, **known: Any,
) -> Front:  # fmt: skip
    """Build the front of a scored population.

    Args:
        space: the search space.
        codes: (n, d) int8.
        accuracy: (n,) in [0, 1].
        costs: (n, m), one column per device.
        devices: names of the columns.
        reference: reference point (error, cost, ...); by default 1.1 x the population's worst value of each objective.
        known: further fields of the `Front`.
    """
    if reference is None:
        reference = 1.1 * np.nanmax(objectives(accuracy, costs), axis=0)
    rows = nondominated(accuracy, costs)
    return Front(
        space, codes[rows], np.asarray(accuracy)[rows], np.asarray(costs)[rows], tuple(devices),
        reference=tuple(float(r) for r in reference), **known,
    )  # fmt: skip


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float:
    """Return Kendall's rank correlation (tau-b); 0 where it is undefined. Infinite values are ranked like others."""
    i, j = np.triu_indices(len(a), 1)
    x, y = (np.greater(v[i], v[j]) * 1.0 - np.less(v[i], v[j]) for v in (np.asarray(a, float), np.asarray(b, float)))
    norm = np.sqrt(float(np.abs(x).sum()) * float(np.abs(y).sum()))
    return float((x * y).sum() / norm) if norm else 0.0
