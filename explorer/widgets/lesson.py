"""The lesson of `09_classroom`: a small search space whose true front is known, and tasks that check the answers.

All accuracies are predictions of the study's predictor, so that networks made by hand, at random, by a search or by a
generator are judged alike.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pandas as pd

from explorer.core.errors import InputError
from explorer.core.front import Front, hypervolume, make_front
from explorer.devices.population import prices
from explorer.searches import search
from explorer.spaces import Enumerable
from explorer.study import Study

LARGEST = 100_000  # the most networks that are enumerated
RIGHT, NOT_YET = "Right: ", "Not yet: "


class Lesson:
    """The true front and the tasks for one study and one device.

    Args:
        study: a study whose space can be enumerated.
        device: the device whose cost counts.

    Raises:
        InputError: the space has too many networks, or the device is unknown.
    """

    def __init__(self, study: Study, device: str = "mobile") -> None:
        if study.space.size > LARGEST or not isinstance(study.space, Enumerable):
            raise InputError(f"study {study.name!r} has {study.space.size:,} networks; a lesson takes {LARGEST:,}")
        study.front(device)  # raises for an unknown device
        self.study, self.device = study, device
        self.codes = study.space.enumerate()
        self.accuracy = study.predictor.evaluate(self.codes)
        self.costs = prices(study.space, study.devices[device], self.codes)
        corner = (float((1 - self.accuracy).max()), float(self.costs.max()))
        self.truth: Front = make_front(
            study.space, self.codes, self.accuracy, self.costs[:, None], [device], corner, evaluations=len(self.codes)
        )

    def looked_up(self, keys: Sequence[str]) -> pd.DataFrame:
        """A table of key, predicted accuracy and device cost of networks.

        Raises:
            InputError: a key that does not belong to the space.
        """
        made = [self.study.architecture(key) for key in keys]
        table = self.study.predict(made) if made else pd.DataFrame({"accuracy": [], self.device: []})
        return table[["accuracy", self.device]].rename_axis("key").reset_index()

    def share(self, keys: Sequence[str]) -> float:
        """The share of the true front's hypervolume that these networks reach, in [0, 1]."""
        table = self.looked_up(keys)
        if table.empty:
            return 0.0
        volume = hypervolume(table["accuracy"].to_numpy(), table[[self.device]].to_numpy(), self.truth.reference)
        return volume / self.truth.hypervolume

    def by_chance(self, tries: int, seed: int = 0) -> list[str]:
        """Keys of `tries` random networks."""
        rows = self.study.space.sample(tries, np.random.default_rng(seed))
        return list(self.study.predict(rows).index)

    # tasks ----------------------------------------------------------------------------------------------------

    def check_tries(self, keys: Sequence[str], seeds: int = 20) -> str:
        """Task 1: compare tries by hand with the same number of random networks (median over `seeds` draws)."""
        if not keys:
            return NOT_YET + "no network was tried."
        ours = self.share(keys)
        chance = float(np.median([self.share(self.by_chance(len(keys), seed)) for seed in range(seeds)]))
        said = f"{len(keys)} tries reach {ours:.1%} of the true front, as many random ones {chance:.1%} (median)."
        return (RIGHT if ours > chance else NOT_YET) + said

    def check_slower(self, few: str, many: str) -> str:
        """Task 2: check that `few` has fewer multiply-accumulates than `many` but is slower on the device."""
        if not few or not many:
            return NOT_YET + "enter two keys; `lesson.counted()` lists some."
        first, second = (self.study.predict([self.study.architecture(key)]).iloc[0] for key in (few, many))
        said = (
            f"{first['macs_m']:.4g} against {second['macs_m']:.4g} million MACs, "
            f"{first[self.device]:.4g} against {second[self.device]:.4g} ms on {self.device}."
        )
        right = first["macs_m"] < second["macs_m"] and first[self.device] > second[self.device]
        return (RIGHT if right else NOT_YET) + said

    def counted(self, networks: int = 12, seed: int = 0) -> pd.DataFrame:
        """Some random networks with MACs, latency and accuracy, sorted by MACs: material for task 2."""
        table = self.study.predict(self.study.space.sample(networks, np.random.default_rng(seed)))
        return table[["macs_m", self.device, "accuracy"]].sort_values("macs_m").round(4)

    def race(self, budgets: int = 10, evaluations: int = 400) -> pd.DataFrame:
        """Compare one search per budget with one pass of the generator: seconds and mean predicted accuracy."""
        low, high = self.study.budget_range(self.device)
        asked = np.geomspace(1.05 * low, high, budgets)
        device, found, start = [self.study.devices[self.device]], [], time.perf_counter()
        for seed, budget in enumerate(asked):
            limit = {self.device: float(budget)}
            front = search(self.study.space, self.study.predictor, device, "memetic", evaluations, seed, budgets=limit)
            found.append(float(front.accuracy.max()))
        searched, start = time.perf_counter() - start, time.perf_counter()
        made = self.study.generate_many(pd.DataFrame({self.device: asked}))
        passed = time.perf_counter() - start
        return pd.DataFrame({
            "": ["one search per budget", "one pass of the generator"],
            "seconds": [searched, passed], "a budget": [searched / budgets, passed / budgets],
            "mean accuracy": [np.mean(found), np.mean([c.accuracy for c in made])],
        }).set_index("")  # fmt: skip

    def check_pays(self, answer: float | None, race: pd.DataFrame, training: float) -> str:
        """Task 3: check from how many budgets on a generator, trained for `training` seconds, beats searching."""
        if answer is None:
            return NOT_YET + "replace `None` by a number of budgets."
        gain = float(race["a budget"].iloc[0] - race["a budget"].iloc[1])
        if gain <= 0:
            return NOT_YET + "the searches were not slower than the generator this time; run the race again."
        true = training / gain
        right = 0.8 * true <= answer <= 1.25 * true
        hint = f"training took {training:.1f} s; every budget saves {gain:.3g} s."
        return (RIGHT if right else NOT_YET) + hint + (f" It pays from {true:,.0f} budgets on." if right else "")
