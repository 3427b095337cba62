"""1,000 random reachable budgets on a study: are they met, how often by the raw network, how far from a big sample?

python -m tests.benchmarks.budgets fashion-mnist
"""

import json
import sys

import numpy as np

from explorer.devices.population import costs_of, overshoot
from explorer.study import open_study

BUDGETS, SAMPLE = 1000, 20_000


def main(name: str) -> dict:
    """Print and return the figures."""
    study = open_study(name)
    devices, space = list(study.devices.values()), study.space
    rng = np.random.default_rng(2026)
    codes = space.sample(SAMPLE, rng)
    costs, accuracy = costs_of(space, devices, codes), study.predictor.evaluate(codes)
    generator = study.generator()
    limits = random_budgets(study, costs, rng)
    kept = generator.select(limits)
    raw = overshoot(costs_of(space, devices, generator.generate(limits, samples=1)), limits) <= 1
    single = (~np.isnan(limits)).sum(1) == 1
    best = np.array([accuracy[overshoot(costs, row[None]) <= 1].max(initial=-1.0) for row in limits])
    best[best < 0] = np.nan
    gap = 100 * (best - kept.accuracy)
    result = {
        "budgets": BUDGETS, "met": float(kept.feasible.mean()), "raw_met": float(raw.mean()),
        "raw_met_single": float(raw[single].mean()), "raw_met_joint": float(raw[~single].mean()),
        "fallbacks": float(kept.fallback.mean()), "gap_points_mean": float(np.nanmean(gap)),
        "gap_points_p95": float(np.nanpercentile(gap, 95)), "sample": SAMPLE,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    return result


def random_budgets(study, costs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half bound one target (log-uniform over its reachable range), half all three jointly, up to 30 % above a network."""
    limits = np.full((BUDGETS, len(study.devices)), np.nan)
    names = list(study.devices)
    for row in range(BUDGETS):
        if row % 2:
            columns = [names.index(t) for t in study.main_targets]
            limits[row, columns] = costs[rng.integers(len(costs)), columns] * (1 + 0.3 * rng.random(len(columns)))
        else:
            target = study.main_targets[rng.integers(len(study.main_targets))]
            low, high = study.budget_range(target)
            limits[row, names.index(target)] = low * (high / low) ** rng.random()
    return limits


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "fashion-mnist")
