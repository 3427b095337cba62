"""Fair comparisons of search algorithms: equal evaluations, several seeds, one reference for the hypervolume."""

from __future__ import annotations

import time
from collections.abc import Sequence

import moocore
import numpy as np
import pandas as pd

from explorer.core.front import Front, hypervolume, make_front, objectives
from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.searches import search


def compare(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], algorithms: Sequence[str],
    evaluations: int = 100_000, seeds: Sequence[int] = (0, 1, 2, 3, 4), reference: Sequence[float] | None = None,
    known: Front | None = None, progress: Progress = silent,
) -> pd.DataFrame:  # fmt: skip
    """Run every algorithm with every seed and compare the fronts.

    Args:
        space, evaluator, devices: any objects that implement the protocols in `explorer.core.protocols`.
        algorithms: names in `ALGORITHMS`.
        evaluations: largest number of evaluations per run.
        seeds: random seeds; every algorithm runs once with each.
        reference: worst corner (error, costs...) of the hypervolume; by default 1.1 x the worst values of all runs.
        known: the best front known; by default the union of all runs.
        progress: reports runs.

    Returns:
        One row per run: algorithm, seed, evaluations, points (of the front), hypervolume, share (of the known front's
        hypervolume), igd_plus (objectives scaled by the known front's range), coverage (share of the known front that
        is reached), seconds.
    """
    runs: list[tuple[str, int, Front, float]] = []
    todo = [(name, seed) for name in algorithms for seed in seeds]
    for name, seed in progress(todo, len(todo), "comparing"):
        start = time.perf_counter()
        runs.append((name, seed, search(space, evaluator, devices, name, evaluations, seed),
                     time.perf_counter() - start))  # fmt: skip
    fronts = [front for _, _, front, _ in runs]
    corner = tuple(reference or np.max([front.reference for front in fronts], axis=0).tolist())
    known = known or union(fronts)
    rows = []
    for name, seed, front, seconds in runs:
        quality = {"hypervolume": hypervolume(front.accuracy, front.costs, corner)} | against(front, known, corner)
        rows.append({"algorithm": name, "seed": seed, "evaluations": front.evaluations, "points": len(front)}
                    | quality | {"seconds": seconds})  # fmt: skip
    return pd.DataFrame(rows)


def union(fronts: Sequence[Front]) -> Front:
    """Return the joint front of several fronts of the same space and devices."""
    codes, accuracy, costs = (np.concatenate([getattr(f, n) for f in fronts]) for n in ("codes", "accuracy", "costs"))
    return make_front(fronts[0].space, codes, accuracy, costs, fronts[0].devices)


def against(front: Front, known: Front, reference: Sequence[float]) -> dict[str, float]:
    """Compare a front with the known one: share of its hypervolume, IGD+ and coverage (see `compare`)."""
    own, best = objectives(front.accuracy, front.costs), objectives(known.accuracy, known.costs)
    low, span = best.min(0), np.maximum(np.ptp(best, axis=0), 1e-12)
    reached = np.any(np.all(own[None] <= best[:, None] + 1e-12, axis=2), axis=1)
    whole = hypervolume(known.accuracy, known.costs, reference)
    return {
        "share": hypervolume(front.accuracy, front.costs, reference) / whole if whole else 0.0,
        "igd_plus": float(moocore.igd_plus((own - low) / span, ref=(best - low) / span)),
        "coverage": float(reached.mean()),
    }
