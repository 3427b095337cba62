"""Benchmarks of generators (1 to 10,000 budgets in one pass) and of searches (for a front, for one budget)."""

import sys
from typing import Any

import numpy as np
import pandas as pd

from explorer.bench.timing import in_turns, slope
from explorer.study import Study, open_study


def generator(quick: bool) -> dict[str, dict[str, float]]:
    """Seconds to generate for 1, 100 and 10,000 budgets (fashion-mnist study); growth with budgets and decisions."""
    study = open_study("fashion-mnist")
    loaded = "torch" in sys.modules
    sizes = [1, 100, 10_000]
    asked = {n: _budgets(study, n) for n in sizes}
    runs: dict[str, Any] = {str(n): lambda n=n: study.generate_many(asked[n]) for n in sizes}
    others = [open_study(name) for name in ("digits", "imagenet-mobilenetv3")]
    for other in others:
        budgets = _budgets(other, 100)
        runs[other.name] = lambda s=other, b=budgets: s.generate_many(b)
    seconds = in_turns(runs, 2 if quick else 5)
    decisions = [len(s.space.decisions) for s in (others[0], study, others[1])]
    by_space = [seconds[others[0].name], seconds["100"], seconds[others[1].name]]
    return {
        "ratios": {
            "100 budgets over 100 times one": seconds["100"] / (100 * seconds["1"]),
            "10,000 budgets over 100 times 100": seconds["10000"] / (100 * seconds["100"]),
        },
        "slopes": {
            "with budgets": slope(sizes, [seconds[str(n)] for n in sizes]), "with decisions": slope(decisions, by_space)
        },
        "times": {f"seconds for {n:,} budgets": seconds[str(n)] for n in sizes}
        | {"torch was loaded by it": float(not loaded and "torch" in sys.modules)},
    }  # fmt: skip


def _budgets(study: Study, n: int) -> pd.DataFrame:
    low, high = study.budget_range(study.targets[0])
    return pd.DataFrame({study.targets[0]: np.geomspace(1.01 * low, high, n + 2)[1:-1]})


def search(quick: bool) -> dict[str, dict[str, float]]:
    """Time of front searches over random search, at equal evaluations; of a generator over a search for one budget."""
    from explorer.searches import ALGORITHMS

    study = open_study("fashion-mnist")
    target, n = study.targets[0], 2000 if quick else 20_000
    names = [name for name in ALGORITHMS if name != "constrained"]
    runs: dict[str, Any] = {
        name: lambda a=name: study.search(a, devices=[target], evaluations=n, seed=0) for name in names
    }
    budget = {target: study.knee(target)}
    runs["constrained"] = lambda: study.search("constrained", devices=[target], evaluations=800, budgets=budget)
    runs["generated"] = lambda: study.generate(budget)
    runs["longer"] = lambda: study.search("memetic", devices=[target], evaluations=4 * n, seed=0)
    seconds = in_turns(runs, 1 if quick else 3)
    ratios = {f"{name} over random": seconds[name] / seconds["random"] for name in names if name != "random"}
    ratios["one budget: generator over search"] = seconds["generated"] / seconds["constrained"]
    times = {f"seconds of {n:,} evaluations, {name}": seconds[name] for name in names}
    times |= {
        "seconds of a budget, search": seconds["constrained"],
        "seconds of a budget, generator": seconds["generated"],
    }
    grown = slope([n, 4 * n], [seconds["memetic"], seconds["longer"]])
    return {"ratios": ratios, "slopes": {"memetic, with evaluations": grown}, "times": times}
