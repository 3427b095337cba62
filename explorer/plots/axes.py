"""Networks on parallel axes: accuracy, every cost, and what was chosen for them; plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from explorer.core.architecture import key_of
from explorer.core.front import nondominated
from explorer.devices.population import prices
from explorer.plots.study_view import StudyView
from explorer.spaces.base import Space

ACCURACY = "accuracy"
SAMPLED = 2000  # networks drawn from the space in addition to those that the generator knows


@dataclass(frozen=True)
class AxesInfo:
    """The networks that ranges on the axes choose from.

    Attributes:
        names: k axes: every device, the accuracy, and one per kind of choice, such as depth.
        units: their units, "" where there is none.
        codes: (n, d) int8 networks, the most accurate first.
        values: (n, k) their values; accuracy in per cent.
        bounded: positions of the axes that can be budgets.
    """

    names: list[str]
    units: list[str]
    codes: np.ndarray
    values: np.ndarray
    bounded: list[int]

    @property
    def accuracy(self) -> np.ndarray:
        """(n,) accuracy in per cent."""
        return np.asarray(self.values[:, self.names.index(ACCURACY)])

    def within(self, ranges: Mapping[str, tuple[float, float]], most: int) -> np.ndarray:
        """Find the networks within ranges: (m,) rows, at most `most`, the most accurate first.

        Networks that another one within the ranges equals or beats in accuracy and every budget are left out. Of too
        many, some are taken that are spread evenly from the most accurate to the least.
        """
        fits = np.ones(len(self.codes), bool)
        for name, (low, high) in ranges.items():
            at = self.values[:, self.names.index(name)]
            air = 1e-9 * max(1.0, float(np.nanmax(np.abs(at))))
            fits &= (at >= low - air) & (at <= high + air)
        rows = np.flatnonzero(fits)
        if not len(rows):
            return rows
        kept = rows[np.sort(nondominated(self.accuracy[rows], self.values[np.ix_(rows, np.array(self.bounded))]))]
        kept = kept[np.argsort(-self.accuracy[kept], kind="stable")]
        return kept[np.unique(np.linspace(0, len(kept) - 1, most).round().astype(int))]

    def nearest(self, ranges: Mapping[str, tuple[float, float]]) -> int:
        """The row of the network that misses ranges by the least, as a share of each axis, summed."""
        missed = np.zeros(len(self.codes))
        for name, (low, high) in ranges.items():
            at = self.values[:, self.names.index(name)]
            missed += np.maximum(0, np.maximum(low - at, at - high)) / max(float(np.ptp(at)), 1e-12)
        return int(missed.argmin())


def axes_info(study: StudyView, known: np.ndarray) -> AxesInfo:
    """Collect networks and their values on all axes.

    Args:
        study: an open study.
        known: (n, d) int8 networks that its generator answers with; evaluated networks and random ones are added.
    """
    space = study.space
    evaluated = np.array([study.architecture(key).choices for key in study.evaluations["key"]], np.int8)
    drawn = space.sample(SAMPLED, np.random.default_rng(0))
    codes = np.unique(space.canonical(np.concatenate([known, evaluated, drawn])), axis=0)
    columns = {name: prices(space, device, codes) for name, device in study.devices.items()}
    columns |= {ACCURACY: 100 * np.asarray(study.predictor.evaluate(codes), float)} | choices_of(space, codes)
    values = np.column_stack(list(columns.values()))
    order = np.argsort(-columns[ACCURACY], kind="stable")
    order = order[~np.isnan(values[order]).any(1)]
    names = list(columns)
    units = [study.devices[n].unit if n in study.devices else "%" * (n == ACCURACY) for n in names]
    return AxesInfo(names, units, codes[order], values[order], [names.index(n) for n in study.main_targets])


def kinds_of(space: Space) -> list[str]:
    """Kinds of choices that are numbers, such as depth, kernel and expand.

    >>> from explorer.spaces import SPACES
    >>> kinds_of(SPACES["mobile-32"])
    ['depth', 'kernel', 'expand']
    """
    kinds: dict[str, bool] = {}
    for record in space.records:
        numbers = all(isinstance(option, (int, float)) for option in record.options)
        kinds[record.kind] = kinds.get(record.kind, True) and numbers
    return [kind for kind, numbers in kinds.items() if numbers]


def choices_of(space: Space, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Summarise (n, d) canonical networks: kind of choice -> (n,) sum of depths, or mean over the blocks that run."""
    active = space.active(codes) if hasattr(space, "active") else np.ones(codes.shape, bool)
    found = {}
    for kind in kinds_of(space):
        genes = [i for i, record in enumerate(space.records) if record.kind == kind]
        chosen = np.column_stack([np.asarray(space.records[i].options, float)[codes[:, i]] for i in genes])
        runs = active[:, genes]
        total = np.where(runs, chosen, 0).sum(1)
        found[kind] = total if kind == "depth" else total / np.maximum(runs.sum(1), 1)
    return found


def keys_of(space: Space, codes: np.ndarray) -> list[str]:
    """Keys of (n, d) networks."""
    return [key_of(space, row) for row in codes]
