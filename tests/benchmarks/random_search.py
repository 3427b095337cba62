"""What a search without any training is worth: NSGA-II on random-weight error and MACs, its networks then trained alone.

    python -m tests.benchmarks.random_search darts docs/random_search.csv [--evaluations 300] [--jobs 2]

Random weights like small networks best, so that a search for a low error and few MACs ends with a handful of the smallest (--down shows
it). What they can say is which of equally large networks to take: the search is for a low error and *many* MACs, and its front has the
best network of every size.

Networks of the front, evenly over its MACs, are paired with random ones of the same MACs (the nearest of 2,000); all are trained on
the schedule of the ladder's truth, with two seeds. Rows are appended, so a stopped run goes on.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.ladder import RUNGS, append, rows_of, space_of, train_one

PAIRS, SEEDS = 10, (0, 1)
CLOSE = 0.03  # relative difference in MACs of a pair


@dataclass(frozen=True)
class Spare:
    """A device whose cost is how many MACs a network has less than the largest one."""

    macs: Any
    most: float
    name: str = "spare_macs_m"
    unit: str = "M"

    def cost(self, space, codes: np.ndarray) -> np.ndarray:
        """(n, d) -> (n,), above 0."""
        return self.most - self.macs.cost(space, codes)


def pairs_of(name: str, evaluations: int, jobs: int, down: bool) -> tuple[list[tuple[np.ndarray, np.ndarray]], float]:
    """(searched, random) networks of equal MACs, and the seconds of the search."""
    from explorer.cli.terminal import progress
    from explorer.core.files import home
    from explorer.data.datasets import load_dataset
    from explorer.devices import load_device
    from explorer.evaluators import RandomWeights
    from explorer.searches import search

    images, macs = load_dataset("fashion-mnist"), load_device("macs_m")
    space = space_of(name).for_images(images.channels, len(images.classes), images.size)
    start = time.perf_counter()
    judge = RandomWeights(space, images, jobs=jobs, cache=home() / "cache" / "random_search", **RUNGS["RWE"])
    drawn = space.sample(2000, np.random.default_rng(47))
    priced = macs.cost(space, drawn)
    device = macs if down else Spare(macs, 1.2 * float(priced.max()))
    front = search(space, judge, [device], "nsga2", evaluations, 0, progress=progress)
    seconds = time.perf_counter() - start
    costs = macs.cost(space, front.codes)
    near = [row for row in np.argsort(costs) if np.abs(priced / costs[row] - 1).min() < CLOSE]
    rows = [near[i] for i in np.unique(np.linspace(0, len(near) - 1, PAIRS).astype(int))]
    return [(front.codes[row], drawn[np.abs(priced - costs[row]).argmin()]) for row in rows], seconds


def main(name: str, out: Path, evaluations: int, jobs: int, down: bool) -> None:
    """Fill the table and print the differences."""
    from joblib import Parallel, delayed

    from explorer.core.architecture import Architecture
    from explorer.devices import load_device

    space = space_of(name).for_images(1, 10, 28)
    if not rows_of(out):
        pairs, seconds = pairs_of(name, evaluations, jobs, down)
        print(f"{evaluations} evaluations in {seconds:.0f} s, {len(pairs)} pairs", flush=True)
        for i, pair in enumerate(pairs):
            for kind, row in zip(("searched", "random"), pair):
                cost = float(load_device("macs_m").cost(space, row[None])[0])
                append(out, {"pair": i, "kind": kind, "key": Architecture(space, row).key, "macs_m": f"{cost:.4f}",
                             "seed": "", "accuracy": ""})  # fmt: skip
    rows = rows_of(out)
    asked = [row for row in rows if not row["accuracy"]]
    done = {(row["key"], row["seed"]) for row in rows if row["accuracy"]}
    todo = [(row, seed) for seed in SEEDS for row in asked if (row["key"], str(seed)) not in done]
    codes = [Architecture.from_key(space, row["key"]).choices for row, _ in todo]
    work = Parallel(jobs, return_as="generator")(
        delayed(train_one)(name, list(c), seed) for c, (_, seed) in zip(codes, todo)
    )
    for (row, seed), (accuracy, _) in zip(todo, work):
        append(out, row | {"seed": seed, "accuracy": f"{accuracy:.4f}"})
        print(row["kind"], row["key"], seed, f"{accuracy:.4f}", flush=True)
    print(differences(out))


def differences(out: Path) -> str:
    """Mean of searched less random over pairs (each the mean of its seeds), with a 90 % bootstrap interval."""
    rows = [row for row in rows_of(out) if row["accuracy"]]
    mean = {
        (kind, pair): np.mean([float(r["accuracy"]) for r in rows if (r["kind"], r["pair"]) == (kind, pair)])
        for kind, pair in {(r["kind"], r["pair"]) for r in rows}
    }
    pairs = sorted({pair for _, pair in mean}, key=int)
    off = 100 * np.array([mean["searched", pair] - mean["random", pair] for pair in pairs])
    drawn = np.random.default_rng(0).choice(off, (10_000, len(off))).mean(1)
    low, high = np.percentile(drawn, [5, 95])
    return (f"{len(off)} pairs: searched less random {off.mean():+.2f} points (90 % interval {low:+.2f} to {high:+.2f}), "
            f"better in {(off > 0).sum()}; each: {off.round(2).tolist()}")  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("space")
    parser.add_argument("table", type=Path)
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--down", action="store_true", help="few MACs instead of many")
    given = parser.parse_args()
    main(given.space, given.table, given.evaluations, given.jobs, given.down)
