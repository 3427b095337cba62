"""All five systems on one task: Fashion-MNIST, ten budgets in MACs, accuracy of what each gives on the 10,000 test images.

    python -m tests.benchmarks.five docs/five.csv

PNAG and SGNAS: the shipped generators of `fashion-mnist`, one pass for all budgets. OFA²: the front of one NSGA-II search (20,000
evaluations of the predictor), its most accurate network within every budget. RWE: the best of twelve random networks by random
weights (head only, two draws), between one budget and the one below. "random": the first of those twelve. All of these have the
supernet's weights. MGAS: the sizes of `fashion-mnist-pruned`, networks of another space with weights of their own. Rows are
appended, so a stopped run goes on; a picture is drawn beside the table. One seed.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.core.architecture import key_of
from explorer.devices.population import costs_of
from explorer.study import open_study
from tests.benchmarks.ladder import append, rows_of
from tests.benchmarks.picture import lines

BUDGETS, DRAWN, EVALUATIONS = 10, 12, 20_000


def budgets_of(study) -> np.ndarray:
    """Ten, evenly over the logarithm of MACs, from a little above the cheapest to the highest useful one."""
    low, high = study.budget_range("macs_m")
    return np.geomspace(1.05 * low, high, BUDGETS)


def generated(study, name: str) -> np.ndarray:
    """One pass."""
    limits = pd.DataFrame({"macs_m": budgets_of(study)})
    found = study.generate_many(limits, generator=name)
    return np.array([c.architecture.choices for c in found], np.int8)


def searched(study, _: str) -> np.ndarray:
    """From one front."""
    front = study.search("nsga2", devices=["macs_m"], evaluations=EVALUATIONS, seed=0)
    rows = [np.where(front.costs[:, 0] <= b, front.accuracy, -1).argmax() for b in budgets_of(study)]
    return front.codes[rows]


def drawn(study) -> list[np.ndarray]:
    """Twelve random networks between every budget and the one below (the lowest: up to it)."""
    rng, budgets = np.random.default_rng(0), budgets_of(study)
    from explorer.evaluators import spread_sample

    device = study.devices["macs_m"]
    codes = spread_sample(study.space, 6000, lambda c: device.cost(study.space, c), rng)
    costs, below = device.cost(study.space, codes), 0.0
    groups = []
    for budget in budgets:
        rows = np.flatnonzero((costs > below) & (costs <= budget))
        groups.append(codes[rng.permutation(rows)[:DRAWN]])
        below = budget
    return groups


def ranked(study, _: str) -> np.ndarray:
    """The best of every group by random weights."""
    from explorer.evaluators import RandomWeights

    judge = RandomWeights(study.space, study.images)
    return np.array([codes[judge.evaluate(codes).argmax()] for codes in drawn(study)])


def random(study, _: str) -> np.ndarray:
    """The first of every group."""
    return np.array([codes[0] for codes in drawn(study)])


SYSTEMS = {"PNAG": (generated, "pnag"), "SGNAS": (generated, "sgnas"), "OFA²": (searched, ""), "RWE": (ranked, ""),
           "random": (random, "")}  # fmt: skip


def main(out: Path) -> None:
    """Fill the table and draw it."""
    study = open_study("fashion-mnist")
    done = {row["system"] for row in rows_of(out)}
    for name, (choose, how) in SYSTEMS.items():
        if name not in done:
            codes = choose(study, how)
            costs, test = costs_of(study.space, [study.devices["macs_m"]], codes)[:, 0], study.evaluate(codes, "test")
            for budget, row, macs, accuracy in zip(budgets_of(study), codes, costs, test):
                _note(out, name, f"{budget:.4f}", key_of(study.space, row), macs, accuracy)
    if "MGAS" not in done:
        family = open_study("fashion-mnist-pruned")
        macs = dict(zip(family.evaluations["key"], family.evaluations["macs_m"]))
        for row in family.manifest.reported:
            _note(out, "MGAS", "", row.role, macs[row.key], row.test)
    rows = rows_of(out)
    series = {
        name: tuple([float(r[c]) for r in rows if r["system"] == name] for c in ("macs_m", "test"))
        for name in (*SYSTEMS, "MGAS")
    }
    lines(out.with_suffix(".svg"), series, "MACs [M]; accuracy on 10,000 test images")


def _note(out: Path, system: str, budget: str, network: str, macs: float, test: float) -> None:
    append(
        out, {"system": system, "budget": budget, "network": network, "macs_m": f"{macs:.4f}", "test": f"{test:.4f}"}
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    main(parser.parse_args().out)
