"""The ImageNet study: its predictor by cross-validation, its generator against 100,000 random networks.

    EXPLORER_REFERENCE=... python -m tests.benchmarks.imagenet

Prints one JSON document. The generator's part needs no reference data.
"""

import json
import os
import time

import numpy as np

from explorer.core.front import kendall_tau
from explorer.devices.population import costs_of, overshoot
from explorer.evaluators import Predictor, read_published
from explorer.study import open_study
from explorer.study.recipe import load_recipe

FOLDS, BUDGETS, SAMPLE = 5, 100, 100_000


def predictor() -> dict:
    """Every row is predicted by a predictor that has not seen it; its band comes from rows that it was not fitted to."""
    from sklearn.linear_model import Ridge

    from explorer.spaces.operators import one_hot

    recipe = load_recipe("imagenet-mobilenetv3")
    space = recipe.search_space
    rows = read_published(recipe.data.removeprefix("published:"), space)
    fold = np.random.default_rng(0).permutation(len(rows.codes)) % FOLDS
    tau, error, covered, width, ridge = [], [], [], [], []
    for k in range(FOLDS):
        out = fold == k
        fitted = Predictor.fit(space, (rows.codes[~out], rows.accuracy[~out]), recipe.predictor, seed=k)
        predicted = fitted.evaluate(rows.codes[out])
        lo, hi = fitted.interval(predicted)
        truth = rows.accuracy[out]
        linear = (
            Ridge(1.0)
            .fit(one_hot(space, rows.codes[~out]), rows.accuracy[~out])
            .predict(one_hot(space, rows.codes[out]))
        )
        tau.append(kendall_tau(predicted, truth))
        error += list(np.abs(predicted - truth))
        covered += list((lo <= truth) & (truth <= hi))
        width.append(float((hi - lo).mean()))
        ridge.append((kendall_tau(linear, truth), np.abs(linear - truth).mean()))
    return {
        "rows": len(rows.codes), "kendall_tau": float(np.mean(tau)), "kendall_tau_folds": [round(t, 4) for t in tau],
        "mae_points": 100 * float(np.mean(error)), "coverage": float(np.mean(covered)),
        "band_width_points": 100 * float(np.mean(width)), "ridge_kendall_tau": float(np.mean([t for t, _ in ridge])),
        "ridge_mae_points": 100 * float(np.mean([e for _, e in ridge])),
    }  # fmt: skip


def generator() -> dict:
    """100 budgets per target, log-spaced over the reachable range, all in one pass."""
    study = open_study("imagenet-mobilenetv3")
    devices, space, names = list(study.devices.values()), study.space, list(study.devices)
    rng = np.random.default_rng(1)
    codes = space.sample(SAMPLE, rng)
    costs, accuracy = costs_of(space, devices, codes), study.predictor.evaluate(codes)
    limits = np.full((BUDGETS * len(study.main_targets), len(devices)), np.nan)
    for i, target in enumerate(study.main_targets):
        low, high = study.budget_range(target)
        limits[i * BUDGETS : (i + 1) * BUDGETS, names.index(target)] = np.geomspace(low, high, BUDGETS)
    best = np.array([accuracy[overshoot(costs, row[None]) <= 1].max(initial=-1) for row in limits])
    best[best < 0] = np.nan
    made = study.generator()
    raw = overshoot(costs_of(space, devices, made.generate(limits, samples=1)), limits) <= 1
    result = {"budgets": len(limits), "raw_met": float(raw.mean())}
    start = time.perf_counter()
    kept = made.select(limits)  # the pool is made here, once
    gap = 100 * (best - kept.accuracy)
    result |= {
        "seconds": time.perf_counter() - start, "met": float(kept.feasible.mean()),
        "fallbacks": float(kept.fallback.mean()), "gap_points_mean": float(np.nanmean(gap)),
        "gap_points_p95": float(np.nanpercentile(gap, 95)),
        "gap_points_by_target": {
            t: float(np.nanmean(gap[i * BUDGETS : (i + 1) * BUDGETS])) for i, t in enumerate(study.main_targets)
        },
    }  # fmt: skip
    return result | {"sample": SAMPLE, "budgets_that_no_random_network_meets": float(np.isnan(best).mean())}


if __name__ == "__main__":
    parts = {"generator": generator()}
    if os.environ.get("EXPLORER_REFERENCE"):
        parts["predictor"] = predictor()
    print(json.dumps(parts, indent=1))
