"""PNAG's main claim: one generator trained for K budgets at once finds better networks than K searches for one budget each.

    python -m tests.benchmarks.joint docs/joint.csv [--seeds 0 1 2]

The fashion-mnist study's predictor and phone, K log-spaced budgets, no imitation. "joint" is the published method, trained on the
K budgets alone; "independent" is the same method K times, each for one budget, with a K-th of the evaluations, of the steps of the
dominance evaluator and of the policy's; "evolution" is once-for-all's constrained search K times, with a K-th of the evaluations
each. "with all the steps": independent ones with a K-th of the evaluations, but as many steps each as the joint training, so K times
its training. Raw networks (the most probable one), and the best of 32 draws that keeps the budget: share of the hypervolume that the
best networks known for these budgets give, share of budgets met, and points of accuracy below the best network known. Rows are
appended, so a stopped run goes on.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from explorer.core.front import hypervolume, make_front
from explorer.devices.population import overshoot
from explorer.generators import pnag
from explorer.generators.settings import PnagConfig
from explorer.searches import search
from explorer.study import open_study
from tests.benchmarks.ladder import append, rows_of

BUDGETS, EVALUATIONS, LONG, DRAWS = 10, 20_000, 1_000_000, 32
METHODS = ("joint", "independent", "independent, with all the steps", "evolution")


class Some(pnag._Trainer):
    """A training on given budgets alone."""

    def __init__(self, study, budgets, config, seed):
        self.given = budgets
        device = study.devices[study.main_targets[0]]
        super().__init__(study.space, study.predictor, [device], config, seed, None)

    def limits(self, n):
        return self.rng.choice(self.given, n)[:, None]

    def networks(self):
        """(raw, best of some draws) of every budget, (K, d) each."""
        limits = self.given[:, None]
        code = np.repeat(self.code(limits), DRAWS, 0)
        with torch.no_grad():
            drawn = self.emit(code, self.noise(len(code)))[0].reshape(len(limits), DRAWS, -1)
        p, best = self.population, []
        for draws, limit, raw in zip(drawn, limits, raws := self.raw(limits)):
            draws = np.concatenate([draws, raw[None]])
            fits = overshoot(p.devices[0].cost(self.space, draws)[:, None], limit) <= 1
            best.append(draws[np.where(fits, p.evaluator.evaluate(draws), -1).argmax()])
        return raws, np.array(best)


def trained(study, budgets, config, seed):
    """The networks of one training, and the evaluations that it asked for."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = Some(study, budgets, config, seed)
        asked = made.train(lambda items, total, what: items)["evaluations"]
    return *made.networks(), asked


def run(method, study, device, budgets, seed):
    """(raw, best, evaluations) of a method for all budgets."""
    usual = PnagConfig(imitation=0.0, anchors=BUDGETS, evaluations=EVALUATIONS)
    if method == "joint":
        return trained(study, budgets, usual, seed)
    if method == "evolution":
        each = EVALUATIONS // BUDGETS
        rows = []
        for i, budget in enumerate(budgets):
            found = search(study.space, study.predictor, [device], "constrained", each, 100 * seed + i,
                           budgets={device.name: budget})  # fmt: skip
            rows.append(found.codes[np.where(found.costs[:, 0] <= budget, found.accuracy, -1).argmax()])
        return np.array(rows), np.array(rows), each * BUDGETS
    part = {"evaluations": usual.evaluations // BUDGETS}
    if method == "independent":
        part |= {name: getattr(usual, name) // BUDGETS for name in ("iterations", "ranker_steps")}
    found = [
        trained(study, budgets[i : i + 1], usual.model_copy(update=part), 100 * seed + i) for i in range(len(budgets))
    ]
    return *(np.concatenate([one[k] for one in found]) for k in (0, 1)), sum(one[2] for one in found)


def main(out: Path, seeds: list[int]) -> None:
    """Fill the table."""
    torch.set_num_threads(1)
    study = open_study("fashion-mnist")
    device = study.devices[study.main_targets[0]]
    corner = study.manifest.reference[device.name]
    front = search(study.space, study.predictor, [device], "memetic", LONG, 11)
    budgets = np.geomspace(1.02 * front.costs[:, 0].min(), front.costs[:, 0].max(), BUDGETS)
    best = np.array([front.accuracy[front.costs[:, 0] <= b].max() for b in budgets])
    known = np.array([front.codes[np.where(front.costs[:, 0] <= b, front.accuracy, -1).argmax()] for b in budgets])

    def worth(codes):
        accuracy, costs = study.predictor.evaluate(codes), device.cost(study.space, codes)
        found = make_front(study.space, codes, accuracy, costs[:, None], [device.name])
        return hypervolume(found.accuracy, found.costs, corner), accuracy, costs <= budgets * (1 + 1e-9)

    whole = worth(known)[0]
    for seed in seeds:
        for method in METHODS:
            if any((r["method"], r["seed"]) == (method, str(seed)) for r in rows_of(out)):
                continue
            start = time.process_time()
            raw, chosen, evaluations = run(method, study, device, budgets, seed)
            seconds, row = time.process_time() - start, {"method": method, "seed": seed, "evaluations": evaluations}
            for name, codes in (("raw", raw), ("chosen", chosen)):
                volume, accuracy, met = worth(codes)
                row |= {f"{name}_share": f"{volume / whole:.4f}", f"{name}_met": f"{met.mean():.2f}",
                        f"{name}_gap": f"{100 * (best - accuracy)[met].mean():.3f}"}  # fmt: skip
            append(out, row | {"seconds": f"{seconds:.0f}"})
            print(rows_of(out)[-1], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    main(given.out, given.seeds)
