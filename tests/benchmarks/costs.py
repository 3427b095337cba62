"""What generators cost, training counted, against searches that end with networks as good; and what they are worth.

    python -m tests.benchmarks.costs docs/costs.json

The ImageNet study, its phone, CPU and GPU; predicted accuracy. Every method is trained three times, as the recipe trains it
and "as published", which imitates no searched network. Evaluations are counted where the evaluator is asked: those of the
training, of the searched fronts that it imitates, and of the pool from which requests are answered. Seconds are of one
core. Searches get ever more evaluations until their networks for 100 budgets on the phone, or for 300 joint budgets, are as good
as those of the shipped generator. What stands in the file is not done again.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from explorer.core.files import read_json, write_json
from explorer.core.front import hypervolume
from explorer.core.protocols import silent
from explorer.devices.population import costs_of, overshoot
from explorer.generators import METHODS
from explorer.searches import fronts, search
from explorer.study import open_study
from explorer.study.recipe import load_recipe
from tests.benchmarks.budgets import random_budgets
from tests.benchmarks.hundred import shares_of, truth_of

NAME, SEEDS, JOINT = "imagenet-mobilenetv3", (0, 1, 2), 300
VARIANTS = {  # how it is trained -> method, and what differs from the recipe; None does not imitate
    "expert": ("expert", {}), "pnag": ("pnag", {}), "sgnas": ("sgnas", {}),
    "pnag, as published": ("pnag", {"imitation": 0.0}),
    "sgnas, as published": ("sgnas", {"imitation": 0.0, "priors": 1}),
}  # fmt: skip
FRONTS = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000)  # evaluations of one search for all budgets
SINGLE = (200, 400, 800, 1_600, 3_200, 6_400, 12_800)  # evaluations of a search for one budget
LONG, PER_BUDGET = 1_000_000, 8_000  # by which the best network for a joint budget is found


class Counting:
    """An evaluator that counts the networks that it is asked about."""

    def __init__(self, evaluator) -> None:
        self.evaluator, self.count = evaluator, 0

    def evaluate(self, codes: np.ndarray) -> np.ndarray:
        """Evaluate (n, d) networks."""
        self.count += len(codes)
        return self.evaluator.evaluate(codes)


class Costs:
    """The study, its budgets and the best networks for them.

    Args:
        seed: seed of the joint budgets.
    """

    def __init__(self, seed: int = 5) -> None:
        self.study, self.recipe = open_study(NAME), load_recipe(NAME)
        self.space, self.devices = self.study.space, list(self.study.devices.values())
        self.targets = [self.study.devices[name] for name in self.study.main_targets]
        self.columns = [list(self.study.devices).index(name) for name in self.study.main_targets]
        self.phone, rng = self.targets[0], np.random.default_rng(seed)
        self.truth = truth_of(self.space, self.study.predictor, self.phone)
        sample = costs_of(self.space, self.devices, self.space.sample(20_000, rng))
        self.joint = random_budgets(self.study, sample, rng)[1::2][:JOINT]

    def best(self) -> list[float]:
        """Search the most accurate network for every joint budget."""
        archive = search(self.space, self.study.predictor, self.targets, "memetic", LONG, 0)
        known = [archive.accuracy[(archive.costs <= row[self.columns]).all(1)].max(initial=0) for row in self.joint]
        found, _ = self.searched(PER_BUDGET)
        return np.maximum(known, found).tolist()

    def searched(self, evaluations: int) -> tuple[np.ndarray, float]:
        """Search a network for every joint budget on its own: (300,) accuracies, and the seconds of them all."""
        start, found = time.process_time(), []
        for row in self.joint:
            budgets = dict(zip(self.study.main_targets, row[self.columns].tolist()))
            one = search(self.space, self.study.predictor, self.targets, "constrained", evaluations, 0, budgets=budgets)
            fits = overshoot(one.costs, row[self.columns]) <= 1
            found.append(one.accuracy[fits].max(initial=0))
        return np.array(found), time.process_time() - start

    def generator(self, variant: str, seed: int, best: np.ndarray) -> dict[str, float]:
        """Train a generator, and judge it."""
        method, changed = VARIANTS[variant]
        settings = self.recipe.method_settings(method).model_copy(update=changed)
        counting, start = Counting(self.study.predictor), time.process_time()
        known, imitated = None, 0
        if not changed:
            found = fronts(self.space, counting, self.targets, self.recipe.search.evaluations, seed)
            known, imitated = np.concatenate([front.codes for front in found]), counting.count
        made = METHODS[method].train(self.space, counting, self.devices, settings, seed, silent, known)
        trained, seconds = counting.count - imitated, time.process_time() - start
        before, start = counting.count, time.process_time()
        made.pool  # noqa: B018
        pool = {"pool_evaluations": counting.count - before, "pool_seconds": time.process_time() - start}
        start = time.perf_counter()
        kept = made.select(self.joint)
        asked = (time.perf_counter() - start) / len(self.joint)
        raw = costs_of(self.space, self.targets, made.generate(self.joint, samples=1))
        gap = 100 * (best - kept.accuracy)
        return {
            "imitated": imitated, "evaluations": trained, "seconds": seconds, **pool, "budget_ms": 1000 * asked,
            **shares_of(made, self.phone, self.truth), "joint_met": float(kept.feasible.mean()),
            "joint_raw_met": float((overshoot(raw, self.joint[:, self.columns]) <= 1).mean()),
            "joint_gap_points": float(gap.mean()), "joint_gap_p95": float(np.percentile(gap, 95)),
        }  # fmt: skip

    def front_searches(self, share: float) -> dict[str, dict[str, float]]:
        """Algorithm -> the least evaluations with which one search has as good networks for all budgets on the phone."""
        found = {}
        for algorithm in ("memetic", "nsga2"):
            for evaluations in FRONTS:
                start = time.process_time()
                front = search(self.space, self.study.predictor, [self.phone], algorithm, evaluations, 0)
                seconds, rows = time.process_time() - start, []
                for limit in self.truth.limits:
                    fits = front.costs[:, 0] <= limit * (1 + 1e-12)
                    rows += [np.where(fits, front.accuracy, -1).argmax()] if fits.any() else []
                value = hypervolume(front.accuracy[rows], front.costs[rows], self.truth.corner) / self.truth.best
                found[algorithm] = {"evaluations": evaluations, "seconds": seconds, "share": value}
                if value >= share:
                    break
        return found

    def joint_searches(self, gap: float, best: np.ndarray) -> dict[str, float]:
        """The least evaluations with which a search for each joint budget is as good on the mean."""
        for evaluations in SINGLE:
            accuracy, seconds = self.searched(evaluations)
            own = 100 * float((best - accuracy).mean())
            if own <= gap:
                break
        return {"evaluations": evaluations, "seconds": seconds / len(self.joint), "gap_points": own}


def main(out: Path, variants: list[str]) -> None:
    """Fill the file and print what is new."""
    costs, done = Costs(), read_json(out) if out.exists() else {}

    def once(key: str, make):
        if key not in done:
            done[key] = make()
            print(key, json.dumps(done[key])[:600], flush=True)
            write_json(out, done)
        return done[key]

    best = np.array(once("best", costs.best))
    for variant in variants:
        for seed in SEEDS:
            once(f"{variant}, seed {seed}", lambda v=variant, s=seed: costs.generator(v, s, best))
    shipped = done.get("expert, seed 0")
    if shipped:
        once("a front", lambda: costs.front_searches(shipped["share"]))
        once("a joint budget", lambda: costs.joint_searches(shipped["joint_gap_points"], best))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    given = parser.parse_args()
    main(given.out, given.variant or list(VARIANTS))
