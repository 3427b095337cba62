"""OFA²'s claim: one multi-objective search gives the front that N searches for one budget each give, in the time of one.

    python -m tests.benchmarks.ofa2 docs/ofa2.json

The ImageNet study's predictor, phone, five seeds. The published algorithms with 100,000 evaluations: hypervolume of the final
population of 100, as the paper reports, and of all networks evaluated. Against them N runs of the constrained search, for
log-spaced budgets, with as many evaluations together: the best network of each. Shares of the hypervolume of the union of all runs
here and of `memetic` with ten times as many evaluations.
"""

import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np

from explorer.core.files import write_json
from explorer.core.front import hypervolume, make_front
from explorer.core.protocols import silent
from explorer.devices.population import cheapest, dearest
from explorer.searches import search
from explorer.searches.archive import Archive, Finished
from explorer.searches.published import PUBLISHED, published
from explorer.study import open_study

NAME, SEEDS, EVALUATIONS, RUNS = "imagenet-mobilenetv3", (0, 1, 2, 3, 4), 100_000, (5, 10, 20, 50)


class Claim:
    """The study's phone, and what every run found."""

    def __init__(self) -> None:
        self.study = open_study(NAME)
        self.space, self.judge = self.study.space, self.study.predictor
        self.phone = self.study.devices[self.study.main_targets[0]]
        self.corner = self.study.manifest.reference[self.phone.name]

    def front(self, codes):
        """(accuracy, costs) of the non-dominated ones of (n, d) networks."""
        found = make_front(
            self.space,
            codes,
            self.judge.evaluate(codes),
            self.phone.cost(self.space, codes)[:, None],
            [self.phone.name],
        )
        return found.accuracy, found.costs

    def at_once(self, name: str, seed: int) -> dict:
        """One multi-objective run."""
        archive, start = Archive(self.space, self.judge, [self.phone], EVALUATIONS), time.process_time()
        with suppress(Finished):
            published(name, archive, np.random.default_rng(seed), silent)
        seconds = time.process_time() - start
        return {"all": self.front(archive.codes), "population": self.front(archive.population), "seconds": seconds}

    def one_each(self, runs: int, seed: int) -> dict:
        """`runs` constrained searches with as many evaluations together."""
        low, high = (
            float(self.phone.cost(self.space, end(self.space, self.phone)[None])[0]) for end in (cheapest, dearest)
        )
        start, best = time.process_time(), []
        for budget in np.geomspace(1.02 * low, high, runs):
            found = search(
                self.space, self.judge, [self.phone], "constrained", EVALUATIONS // runs, seed,
                budgets={self.phone.name: float(budget)},
            )  # fmt: skip
            best.append(found.codes[found.accuracy.argmax()])
        return {"all": self.front(np.array(best)), "seconds": time.process_time() - start}


def main(out: Path) -> None:
    """Write the file."""
    claim = Claim()
    runs = {f"{name}, seed {seed}": claim.at_once(name, seed) for name in PUBLISHED for seed in SEEDS}
    runs |= {f"constrained, {n} budgets, seed {seed}": claim.one_each(n, seed) for n in RUNS for seed in SEEDS}
    long = [search(claim.space, claim.judge, [claim.phone], "memetic", 10 * EVALUATIONS, seed) for seed in (11, 12)]
    fronts = [(front.accuracy, front.costs) for front in long] + [run["all"] for run in runs.values()]
    accuracy, costs = (np.concatenate(column) for column in zip(*fronts))
    best = hypervolume(accuracy, costs, claim.corner)
    found = {
        key: {k: v if k == "seconds" else hypervolume(*v, claim.corner) / best for k, v in run.items()}
        for key, run in runs.items()
    }
    write_json(out, found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
