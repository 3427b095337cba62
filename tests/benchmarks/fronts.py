"""Searches and generators of a study against the best front known.

    python -m tests.benchmarks.fronts imagenet-mobilenetv3 [--searches docs/fronts.json]

The searches can be taken from an earlier document, where only generators have changed. Prints one JSON document: hypervolumes of every algorithm on one target (five seeds), of every generator's networks from one
pass over 100 budgets, and the gap of joint budgets over all targets to a long search at the same budgets.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.core.front import hypervolume, make_front
from explorer.devices.population import costs_of
from explorer.searches import search
from explorer.searches.compare import against, compare, union
from explorer.study import open_study
from tests.benchmarks.budgets import random_budgets

LONG, JOINT, PER_BUDGET = 1_000_000, 300, 8_000


def algorithms(study, target: str, evaluations: int = 100_000) -> dict:
    """Every algorithm at equal evaluations; the best front known is the union of all runs and two ten times as long."""
    device, names = [study.devices[target]], ["memetic", "nsga2", "sms-emoa", "spea2", "constrained", "random"]
    corner = study.manifest.reference[target]
    long = [search(study.space, study.predictor, device, "memetic", LONG, seed) for seed in (11, 12)]
    runs = compare(study.space, study.predictor, device, names, evaluations, known=union(long), reference=corner)
    mean = runs.groupby("algorithm").mean(numeric_only=True)
    known = hypervolume(long[0].accuracy, long[0].costs, corner)
    published = mean.loc[["nsga2", "sms-emoa", "spea2"], "hypervolume"]
    gain = (mean.loc["memetic", "hypervolume"] - published.max()) / (known - mean.loc["random", "hypervolume"])
    return {
        "target": target, "known": known, "memetic_at_1M_share": against(long[1], union(long), corner)["share"],
        "runs": json.loads(runs.round(5).to_json(orient="records")), "best_published": published.idxmax(),
        "memetic_gain_over_best_published": float(gain),
    }  # fmt: skip


def generators(study, target: str, known: float, nsga2: float) -> dict:
    """100 budgets in one pass: hypervolume of the networks, raw and selected."""
    names, corner = list(study.devices), study.manifest.reference[target]
    low, high = study.budget_range(target)
    most = float(study.devices[target].cost(study.space, study.space.sample(5000, np.random.default_rng(0))).max())
    limits = np.full((100, len(names)), np.nan)
    limits[:, names.index(target)] = np.geomspace(low, max(high, most), 100)
    result = {}
    for name in study.generators:
        generator = study.generator(name)
        start = time.perf_counter()
        kept = generator.select(limits)
        seconds = time.perf_counter() - start
        volumes = []
        for codes in (generator.generate(limits, samples=1), kept.codes):
            costs = costs_of(study.space, [study.devices[target]], codes)
            front = make_front(study.space, codes, study.predictor.evaluate(codes), costs, [target])
            volumes.append(hypervolume(front.accuracy, front.costs, corner))
        result[name] = {
            "seconds": seconds, "raw_share": volumes[0] / known, "share": volumes[1] / known,
            "above_nsga2": volumes[1] > nsga2, "met": float(kept.feasible.mean()),
        }  # fmt: skip
    return result


def joint(study) -> dict:
    """Budgets over all targets at once, against a long search at each of them."""
    rng = np.random.default_rng(5)
    devices, targets = list(study.devices.values()), [study.devices[t] for t in study.main_targets]
    columns = [list(study.devices).index(t) for t in study.main_targets]
    sample = costs_of(study.space, devices, study.space.sample(20_000, rng))
    limits = random_budgets(study, sample, rng)[1::2][:JOINT]
    archive = search(study.space, study.predictor, targets, "memetic", LONG, 0)
    best = []
    for row in limits:
        bounds = dict(zip(study.main_targets, row[columns].tolist()))
        one = search(study.space, study.predictor, targets, "constrained", PER_BUDGET, 0, budgets=bounds)
        known = archive.accuracy[(archive.costs <= row[columns]).all(1)].max(initial=0)
        best.append(max(one.accuracy.max(), known))
    result = {}
    for name in study.generators:
        generator = study.generator(name)
        start = time.perf_counter()
        kept = generator.select(limits)
        gap = 100 * (np.array(best) - kept.accuracy)
        raw = costs_of(study.space, devices, generator.generate(limits, samples=1))
        result[name] = {
            "seconds": time.perf_counter() - start, "met": float(kept.feasible.mean()),
            "raw_met": float(np.all(raw[:, columns] <= limits[:, columns], axis=1).mean()),
            "gap_points_mean": float(gap.mean()), "gap_points_median": float(np.median(gap)),
            "gap_points_p95": float(np.percentile(gap, 95)),
        }  # fmt: skip
    return result


def main(name: str, searches: Path | None) -> None:
    """Print the figures."""
    study = open_study(name)
    target = study.main_targets[0]
    found = json.loads(searches.read_text())["search"] if searches else algorithms(study, target)
    runs = pd.DataFrame(found["runs"])
    nsga2 = float(runs[runs["algorithm"] == "nsga2"]["hypervolume"].median())
    print(json.dumps({
        "study": name, "search": found, "generators": generators(study, target, found["known"], nsga2),
        "joint": joint(study),
    }, indent=1))  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="?", default="imagenet-mobilenetv3")
    parser.add_argument("--searches", type=Path)
    given = parser.parse_args()
    main(given.study, given.searches)
