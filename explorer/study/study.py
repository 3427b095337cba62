"""A study: one folder with everything that was trained, opened without torch. It answers budgets and searches.

`study.json` names every other file with its hash and is written last, so a folder with it is complete. What is known of
a study stands in `facts`, what it comes from in `origin`, and how one is made in `train`, `add_device` and `prune`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from explorer.core.architecture import Architecture
from explorer.core.errors import unknown
from explorer.core.front import Candidate, Front, make_front
from explorer.core.protocols import Device, Progress, silent
from explorer.devices import amount
from explorer.generators import ENUMERATION, BudgetGenerator, Enumeration, open_generator, side_by_side
from explorer.searches import search
from explorer.study.facts import Facts

SAMPLES = 16  # draws per budget; 32 find 0.01 points more and take 1.6 times as long


class Study(Facts):
    """A finished study: budgets in, networks out."""

    @property
    def generators(self) -> list[str]:
        """Names of the generators in this study, the default first: the best on held-out budgets."""
        return list(self.manifest.generators)

    def generator(self, name: str | None = None) -> BudgetGenerator | Enumeration:
        """A generator by name, the first unless named.

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

    def generate(self, budget: Mapping[str, float], generator: str | None = None) -> Candidate:
        """The network for a budget, such as `{"mobile": 5.0, "cpu": 2.0}`; equal calls give equal networks.

        Below the reachable range: a candidate with `feasible=False` that is the nearest reachable network.

        Raises:
            InputError: unknown device, or a budget that is not a number above 0.
        """
        self._known(budget)
        for device, value in budget.items():
            self._check_budget(device, value)
        limits = np.array([[float(budget.get(name, np.nan)) for name in self.devices]])
        return self._generate(limits, generator)[0]

    def generate_many(self, limits: pd.DataFrame, generator: str | None = None) -> list[Candidate]:
        """One candidate per row, in one pass; columns are devices, NaN leaves a device free.

        Every row has draws of its own, so a network may be another than `generate` gives for that budget alone.
        """
        self._known(limits.columns)
        for device in limits.columns:
            for value in limits[device].to_numpy():
                if not (isinstance(value, float) and math.isnan(value)):
                    self._check_budget(device, value)
        table = np.column_stack([
            limits[name].to_numpy(float) if name in limits else np.full(len(limits), np.nan) for name in self.devices
        ])  # fmt: skip
        return self._generate(table, generator)

    def generated_front(self, device: str, generator: str | None = None, budgets: int = 100) -> Front:
        """The networks that a generator gives for budgets spread over one device's range, in one pass."""
        low, high = self.budget_range(device)
        table = pd.DataFrame({device: np.geomspace(low, high, budgets)})
        made = self.generate_many(table, generator)
        codes = np.array([c.architecture.choices for c in made], np.int8)
        accuracy, costs = np.array([c.accuracy for c in made]), np.array([[c.costs[device]] for c in made])
        corner = self.manifest.reference.get(device)
        return make_front(self.space, codes, accuracy, costs, [device], corner, evaluations=budgets)

    def compare_generators(self, device: str, budgets: int = 100) -> pd.DataFrame:
        """Every generator on the same budgets, log-spaced over one device's range: see `side_by_side`."""
        low, high = self.budget_range(device)
        chosen: list[Any] = [self.generator(name) for name in self.generators]
        corner = self.manifest.reference.get(device) or self.generated_front(device, budgets=budgets).reference
        return side_by_side(chosen, device, np.geomspace(1.02 * low, high, budgets), SAMPLES, corner)

    def _generate(self, limits: np.ndarray, generator: str | None) -> list[Candidate]:
        chosen = self.generator(generator)
        kept = chosen.select(limits, np.random.default_rng(0), SAMPLES)
        lo, hi = self.predictor.interval(kept.accuracy)
        return [
            Candidate(architecture, accuracy, band, dict(zip(self.devices, costs)), feasible, chosen.method)
            for architecture, accuracy, band, costs, feasible in zip(
                Architecture.many(self.space, kept.codes), kept.accuracy.tolist(), zip(lo.tolist(), hi.tolist()),
                kept.costs.tolist(), kept.feasible.tolist(),
            )
        ]  # fmt: skip

    def nearest_line(self, budget: Mapping[str, float], candidate: Candidate) -> str:
        """One line on a budget that cannot be met."""
        asked = ", ".join(f"{name} {amount(self.devices[name], value, 6)}" for name, value in budget.items())
        found = ", ".join(f"{name} {amount(self.devices[name], candidate.costs[name])}" for name in budget)
        return f"budget {asked} is not reachable; the nearest reachable network has {found}"

    def search(
        self, algorithm: str = "memetic", devices: Sequence[str] | None = None, evaluations: int = 100_000,
        seed: int = 0, **options: Any,
    ) -> Front:  # fmt: skip
        """Search the front of predicted accuracy against some devices' costs (all targets unless named).

        `options` are those of `explorer.search`: budgets, patience, file, progress. The hypervolume's reference
        is the study's. A search exploits the predictor's errors: `remeasure` the front before trusting it.
        """
        names = list(devices) if devices is not None else self.targets
        self._known(names)
        corner = [self.manifest.reference[name] for name in names if name in self.manifest.reference]
        reference = [corner[0][0], *(c[1] for c in corner)] if len(corner) == len(names) > 0 else None
        return search(
            self.space, self.predictor, [self.devices[n] for n in names], algorithm, evaluations, seed,
            reference=reference, **options,
        )  # fmt: skip

    def with_device(self, device: Device, retrain: bool = True, progress: Progress = silent) -> Study:
        """This study with one more device: its own slider and costs; see `explorer.study.add_device.with_device`."""
        from explorer.study.add_device import with_device

        return with_device(self, device, retrain, progress)


def fingerprint(study: Study) -> str:
    """A short name of a study's exact contents."""
    return hashlib.sha256("".join(sorted(study.manifest.files.values())).encode()).hexdigest()[:12]
