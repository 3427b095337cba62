"""Peers on the same work: pymoo alone, and Optuna's multi-objective samplers.

    pip install -e ".[peers]"
    python -m tests.benchmarks.peers docs/peers.csv [--seeds 0 1 2]

The ImageNet study on the phone, predicted accuracy, 1,000 evaluations each (population 100 where there is one), one core; share of the
hypervolume of a search of 1,000,000 evaluations. "pymoo alone" is NSGA-II as pymoo's documentation composes it for integers. Our generators
are one pass over 100 budgets; their evaluations are those of their training and of the searched fronts that they imitated. Rows are appended,
so a stopped run goes on; TPE, which takes minutes a seed, comes last.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from explorer.core.front import hypervolume, make_front
from explorer.devices.population import costs_of
from explorer.searches import search
from explorer.study import open_study
from explorer.study.recipe import load_recipe
from tests.benchmarks.ladder import append, rows_of

EVALUATIONS, POPULATION, LONG = 1000, 100, 1_000_000
SAMPLERS = {"Optuna NSGA-II": "NSGAIISampler", "Optuna NSGA-III": "NSGAIIISampler", "Optuna TPE": "TPESampler"}


class Objectives:
    """Error and latency of one integer vector or a population; keeps what was asked."""

    def __init__(self, study) -> None:
        self.study, self.device = study, study.devices[study.main_targets[0]]
        self.options = [len(values) for values in study.space.decisions.values()]
        self.asked: list[np.ndarray] = []

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, 2)."""
        codes = self.study.space.canonical(np.asarray(codes, np.int8))
        self.asked.append(codes)
        return np.column_stack([1 - self.study.predictor.evaluate(codes), self.device.cost(self.study.space, codes)])

    def volume(self) -> float:
        """Hypervolume of all that was asked."""
        return volume(self.study, np.concatenate(self.asked))


def volume(study, codes: np.ndarray) -> float:
    """Hypervolume of a set on the first target."""
    target = study.main_targets[0]
    corner, costs = study.manifest.reference[target], costs_of(study.space, [study.devices[target]], codes)
    front = make_front(study.space, codes, study.predictor.evaluate(codes), costs, [target])
    return hypervolume(front.accuracy, front.costs, corner)


def pymoo_alone(objectives: Objectives, seed: int) -> None:
    """NSGA-II from pymoo's documentation of discrete problems: integer sampling, SBX and polynomial mutation, rounded."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    class Choices(Problem):
        def __init__(self):
            super().__init__(
                n_var=len(objectives.options), n_obj=2, xl=0, xu=np.array(objectives.options) - 1, vtype=int
            )

        def _evaluate(self, x, out, *args, **kwargs):
            out["F"] = objectives(x)

    algorithm = NSGA2(
        pop_size=POPULATION, sampling=IntegerRandomSampling(), eliminate_duplicates=True,
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=RoundingRepair()),
    )  # fmt: skip
    minimize(Choices(), algorithm, ("n_eval", EVALUATIONS), seed=seed)


def optuna(objectives: Objectives, seed: int, sampler: str) -> None:
    """A study with one categorical parameter per decision."""
    import optuna as library

    library.logging.set_verbosity(library.logging.ERROR)
    settings = {} if sampler == "TPESampler" else {"population_size": POPULATION}
    chosen = getattr(library.samplers, sampler)(seed=seed, **settings)
    study = library.create_study(directions=["minimize", "minimize"], sampler=chosen)

    def of(trial):
        row = [trial.suggest_categorical(f"g{i}", list(range(n))) for i, n in enumerate(objectives.options)]
        return tuple(objectives(np.array([row]))[0])

    study.optimize(of, n_trials=EVALUATIONS)


def compare(out: Path, seeds: list[int]) -> None:
    """Fill the table of searches."""
    study = open_study("imagenet-mobilenetv3")
    target = study.main_targets[0]
    device = study.devices[target]
    known = volume(study, search(study.space, study.predictor, [device], "memetic", LONG, 11).codes)
    ours = {
        f"ours, {name}": lambda o, seed, a=name: o(
            search(study.space, study.predictor, [device], a, EVALUATIONS, seed).codes
        )
        for name in ("memetic", "nsga2", "random")
    }
    peers = {"pymoo alone": pymoo_alone} | {
        name: lambda o, seed, s=sampler: optuna(o, seed, s) for name, sampler in SAMPLERS.items()
    }
    limits = np.full((100, len(study.devices)), np.nan)
    limits[:, list(study.devices).index(target)] = np.geomspace(*study.budget_range(target), 100)
    imitated = load_recipe(study.name).search.evaluations * (len(study.main_targets) + 1)
    for name in study.generators:
        if not _done(out, f"generator {name}, one pass", study.manifest.seed):
            generator, start = study.generator(name), time.perf_counter()
            kept = generator.select(limits)
            seconds, took = time.perf_counter() - start, generator.about["evaluations"] + imitated
            share = volume(study, kept.codes) / known
            _note(out, f"generator {name}, one pass", study.manifest.seed, took, share, seconds)
    for name, run in (ours | peers).items():  # TPE last
        for seed in seeds:
            if not _done(out, name, seed):
                objectives, start = Objectives(study), time.perf_counter()
                run(objectives, seed)
                _note(out, name, seed, EVALUATIONS, objectives.volume() / known, time.perf_counter() - start)


def _done(out: Path, name: str, seed: int) -> bool:
    return any((row["what"], row["seed"]) == (name, str(seed)) for row in rows_of(out))


def _note(out: Path, name: str, seed: int, evaluations: int, share: float, seconds: float) -> None:
    append(out, {"what": name, "seed": seed, "evaluations": evaluations, "share": f"{share:.5f}",
                 "seconds": f"{seconds:.2f}"})  # fmt: skip
    print(rows_of(out)[-1], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    compare(given.out, given.seeds)
