"""The `Study` class: a folder with everything that was trained, opened without torch, to generate and search networks.

`study.json` lists every other file with its hash and is written last, so a folder that has one is complete. The
recorded data of a study are read in `facts`, its origin is described in `origin`, and studies are made in `train`,
`add_device` and `prune`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError, unknown
from explorer.core.front import Candidate, Front, make_front
from explorer.core.protocols import Device, Progress, silent
from explorer.devices import not_reachable
from explorer.generators import ENUMERATION, BudgetGenerator, Enumeration, open_generator, side_by_side
from explorer.generators.selection import Selection
from explorer.searches import search
from explorer.study.facts import Facts


class Study(Facts):
    """A finished study: it generates networks for budgets, searches fronts, and gives access to its data."""

    @property
    def generators(self) -> list[str]:
        """Names of the study's generators, best on held-out budgets first; the first one is the default."""
        return list(self.manifest.generators)

    def generator(self, name: str | None = None) -> BudgetGenerator | Enumeration:
        """Return a generator by name, by default the first.

        Raises:
            InputError: this study has no such generator.
        """
        name = name or next(iter(self.generators), "")
        if name not in self.generators:
            raise unknown("generator", name, self.generators)
        if name == ENUMERATION:
            return Enumeration(self.space, self.predictor, list(self.devices.values()))
        if name not in self._generators:
            path = self.folder / f"generator-{name}.onnx"
            self._generators[name] = open_generator(self.space, path, self.predictor, list(self.devices.values()))
        return self._generators[name]

    @property
    def opened(self) -> Mapping[str, BudgetGenerator]:
        """The generators that are in memory: opened from the study's folder, or trained and not written."""
        return self._generators

    def generate(
        self, budget: Mapping[str, float], generator: str | None = None, precision: str | None = None
    ) -> Candidate:
        """Generate the network for a budget: always the same one, and never a worse one for a larger budget.

        If no network meets the budget, the nearest reachable one is returned with `feasible=False`.

        Args:
            budget: device name -> largest allowed cost in the device's unit, such as `{"mobile": 5.0, "cpu": 2.0}`.
            generator: name of the generator, by default the first.
            precision: "fp32" or "int8", of the accuracy that is best within the budget; see `in_precision`.

        Raises:
            InputError: unknown device, generator or precision, or a budget that is not a number above 0.
        """
        if precision is not None and precision != self.precision:
            return self.in_precision(precision).generate(budget, generator)
        self._known(budget)
        for device, value in budget.items():
            self._check_budget(device, value)
        limits = np.array([[float(budget.get(name, np.nan)) for name in self.devices]])
        return self._generate(limits, generator)[0]

    def generate_many(
        self, limits: pd.DataFrame, generator: str | None = None, precision: str | None = None
    ) -> list[Candidate]:
        """Generate one network per row of budgets, all at once; each is the one that `generate` returns for it.

        Args:
            limits: one column per bounded device, in the device's unit; NaN leaves a device unconstrained.
            generator: name of the generator, by default the first.
            precision: see `generate`.

        Raises:
            InputError: unknown device, generator or precision, or a budget that is not a number above 0.
        """
        if precision is not None and precision != self.precision:
            return self.in_precision(precision).generate_many(limits, generator)
        self._known(limits.columns)
        for device in limits.columns:
            for value in limits[device].to_numpy():
                if not (isinstance(value, float) and math.isnan(value)):
                    self._check_budget(device, value)
        table = np.column_stack([
            limits[name].to_numpy(float) if name in limits else np.full(len(limits), np.nan) for name in self.devices
        ])  # fmt: skip
        return self._generate(table, generator)

    def cheapest(
        self, accuracy: float, device: str | None = None, limits: Mapping[str, float] | None = None,
        generator: str | None = None, precision: str | None = None,
    ) -> Candidate:  # fmt: skip
        """Generate the cheapest network on a device that reaches an accuracy: always the same one.

        A lower accuracy, or larger limits, never give a costlier network. If no network is accurate enough within the
        limits, the most accurate one within them is returned with `feasible=False`.

        Args:
            accuracy: least accuracy in [0, 1], of the kind that the study generates by (see `Candidate.source`).
            device: name of the device whose cost is minimised, by default the first of `main_targets`.
            limits: device name -> largest allowed cost, in addition.
            generator: name of the generator, by default the first.
            precision: see `generate`.

        Raises:
            InputError: unknown device, generator or precision, an accuracy that is not from 0 to 1, or a limit that is
                not a number above 0.
        """
        if precision is not None and precision != self.precision:
            return self.in_precision(precision).cheapest(accuracy, device, limits, generator)
        device, limits = device or self.main_targets[0], limits or {}
        self._known([device, *limits])
        for name, value in limits.items():
            self._check_budget(name, value)
        share = accuracy if isinstance(accuracy, (int, float, np.number)) and not isinstance(accuracy, bool) else -1
        if not 0 <= share <= 1:
            raise InputError(f"accuracy = {accuracy!r}; expected a share from 0 to 1, such as 0.93")
        row = np.array([float(limits.get(name, np.nan)) for name in self.devices])
        chosen = self.generator(generator)
        return self._candidates(chosen, chosen.pool.cheapest(float(share), list(self.devices).index(device), row))[0]

    def unreached_line(self, accuracy: float, candidate: Candidate, limits: Mapping[str, float]) -> str:
        """Format a message that an accuracy cannot be reached, with the nearest network."""
        if any(candidate.costs[name] > value for name, value in limits.items()):
            return self.nearest_line(limits, candidate)
        within = (
            f" within {', '.join(f'{n} {v:g} {self.devices[n].unit}' for n, v in limits.items())}" if limits else ""
        )
        return (
            f"accuracy {accuracy:.2%} is not reachable{within}; the most accurate network there has "
            f"{candidate.accuracy:.2%} ({self.origin.generated})"
        )

    def generated_front(self, device: str, generator: str | None = None, budgets: int = 100) -> Front:
        """Generate networks for budgets spread over one device's range (log scale), and return their front."""
        low, high = self.budget_range(device)
        table = pd.DataFrame({device: np.geomspace(low, high, budgets)})
        made = self.generate_many(table, generator)
        codes = np.array([c.architecture.choices for c in made], np.int8)
        accuracy, costs = np.array([c.accuracy for c in made]), np.array([[c.costs[device]] for c in made])
        corner = self.manifest.reference.get(device)
        return make_front(
            self.space, codes, accuracy, costs, [device], corner, evaluations=budgets, source=self.origin.generated
        )  # fmt: skip

    def compare_generators(self, device: str, budgets: int = 100) -> pd.DataFrame:
        """Compare all generators on the same budgets, log-spaced over one device's range; see `side_by_side`.

        The evaluations of a training include those of the searched fronts that it imitated.
        """
        low, high = self.budget_range(device)
        chosen: list[Any] = [self.generator(name) for name in self.generators]
        corner = self.manifest.reference.get(device) or self.generated_front(device, budgets=budgets).reference
        table = side_by_side(chosen, device, np.geomspace(1.02 * low, high, budgets), corner)
        table["evaluations"] += [self._imitated(generator) for generator in chosen]
        return table

    def _imitated(self, generator: BudgetGenerator | Enumeration) -> int:
        """Count the evaluations of the searches whose fronts a generator imitated: one per target, and one over all."""
        targets = [name for name in generator.about.get("devices", ()) if name in self.targets]
        return self.recipe.search.evaluations * (len(targets) + (len(targets) > 1)) if targets else 0

    def _generate(self, limits: np.ndarray, generator: str | None) -> list[Candidate]:
        chosen = self.generator(generator)
        return self._candidates(chosen, chosen.select(limits))

    def _candidates(self, chosen: BudgetGenerator | Enumeration, kept: Selection) -> list[Candidate]:
        lo, hi = self.predictor.interval(kept.accuracy)
        return [
            Candidate(
                architecture, accuracy, band, dict(zip(self.devices, costs)), feasible, chosen.method,
                self.origin.generated, self.precision,
            )
            for architecture, accuracy, band, costs, feasible in zip(
                Architecture.many(self.space, kept.codes), kept.accuracy.tolist(), zip(lo.tolist(), hi.tolist()),
                kept.costs.tolist(), kept.feasible.tolist(),
            )
        ]  # fmt: skip

    def nearest_line(self, budget: Mapping[str, float], candidate: Candidate) -> str:
        """Format a message that a budget cannot be met, with the costs of the nearest reachable network."""
        return not_reachable(self.devices, budget, candidate.costs)

    def search(
        self, algorithm: str = "memetic", devices: Sequence[str] | None = None, evaluations: int = 100_000,
        seed: int = 0, **options: Any,
    ) -> Front:  # fmt: skip
        """Search the Pareto front of accuracy (`Front.source` says of which kind) against the costs on some devices.

        The hypervolume's reference point is the study's. A search exploits the predictor's errors, so use `remeasure`
        on the front before trusting it.

        Args:
            algorithm: name of the search algorithm.
            devices: device names, by default `main_targets`.
            evaluations: maximum number of distinct architectures to evaluate.
            seed: random seed.
            **options: further arguments of `explorer.search`: budgets, patience, file, progress.

        Raises:
            InputError: unknown device or algorithm.
        """
        names = list(devices) if devices is not None else self.main_targets
        self._known(names)
        corner = [self.manifest.reference[name] for name in names if name in self.manifest.reference]
        reference = [corner[0][0], *(c[1] for c in corner)] if len(corner) == len(names) > 0 else None
        found = search(
            self.space, self.predictor, [self.devices[n] for n in names], algorithm, evaluations, seed,
            reference=reference, **options,
        )  # fmt: skip
        return replace(found, source=self.origin.generated)

    def with_device(self, device: Device, retrain: bool = False, progress: Progress = silent) -> Study:
        """Return this study with one more device, at once; see `explorer.study.add_device.with_device`."""
        from explorer.study.add_device import with_device

        return with_device(self, device, retrain, progress)


def fingerprint(study: Study) -> str:
    """Compute a short hash that identifies the exact contents of a study."""
    return hashlib.sha256("".join(sorted(study.manifest.files.values())).encode()).hexdigest()[:12]
