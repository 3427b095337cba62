"""SGNAS's generator on a unified study: costs asked and met, time against a search per budget, accuracy with real weights.

    python -m tests.benchmarks.sgnas fashion-mnist-unified docs/sgnas.json

Generators of three seeds, as in the recipe, with the published single prior, and without imitation, are trained through the
study's supernet on the training images that it left out. Ten budgets on the first target are then met by each, by the best of 1,000
random networks and by NSGA-II on the predictor, and every chosen network is measured with inherited weights on all validation
images. What stands in the file is not done again.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

from explorer.cli.terminal import progress
from explorer.core.config import parse, read_toml
from explorer.core.files import read_json, write_json
from explorer.core.front import kendall_tau
from explorer.devices.population import costs_of, overshoot
from explorer.generators.settings import SgnasConfig
from explorer.generators.sgnas import train_sgnas
from explorer.generators.signals import SupernetSignal
from explorer.searches import fronts, search
from explorer.study import open_study

SEEDS, BUDGETS, TARGETS, RANDOM, EVALUATIONS = (0, 1, 2), 10, 100, 1000, 20_000
SEARCHED = 60_000  # evaluations of the recipe's searches, whose fronts are imitated
VARIANTS: dict[str, dict] = {"recipe": {}, "one prior": {"priors": 1}, "no imitation": {"imitation": 0.0}}
LADDER = (200, 400, 800, 1600, 3200, 6400)  # evaluations of one constrained search, until it is as accurate


def main(name: str, out: Path) -> dict:
    """Fill the file and print what is new."""
    study = open_study(name)
    done = read_json(out) if out.exists() else {}
    config = parse(SgnasConfig, dict(read_toml(study.folder / "recipe.toml").get("sgnas", {})), "recipe.toml")

    def once(key: str, make) -> None:
        if key not in done:
            done[key] = make()
            print(key, json.dumps(done[key]), flush=True)
            write_json(out, done)

    for variant, changed in VARIANTS.items():
        for seed in SEEDS:
            key = f"{variant}, seed {seed}"
            if key not in done:
                generator = trained(study, config.model_copy(update=changed), seed, variant == "recipe")
                once(key, lambda g=generator, s=seed: costs_met(study, g) | quality(study, g, s))
    once("time", lambda: speed(study))
    return done


def trained(study, config: SgnasConfig, seed: int, shipped: bool):
    """A generator of the study's devices through its supernet; the shipped one where it is the same."""
    if shipped and seed == study.manifest.seed:
        return study.generator("sgnas")
    train = study.images.train
    rest = train.take(slice(round((1 - config.held_out) * len(train)), None))
    signal = SupernetSignal(study.supernet, rest.images, rest.labels, config.images, seed)
    devices, targets = list(study.devices.values()), [study.devices[name] for name in study.main_targets]
    known = np.concatenate([f.codes for f in fronts(study.space, study.predictor, targets, SEARCHED, 0)])
    return train_sgnas(study.space, study.predictor, devices, config, seed, progress, known, signal=signal)


def limits_of(study, device: str, budgets: np.ndarray) -> np.ndarray:
    """(n, devices): one device bounded."""
    limits = np.full((len(budgets), len(study.devices)), np.nan)
    limits[:, list(study.devices).index(device)] = budgets
    return limits


def spread(study, device: str, n: int) -> np.ndarray:
    """(n,) log-spaced budgets over a device's range."""
    low, high = study.budget_range(device)
    return np.geomspace(1.02 * low, high, n)


def costs_met(study, generator) -> dict:
    """Raw networks (one draw each) on 100 targets of every device; selected ones on the same."""
    error, tau, raw, met = {}, {}, {}, {}
    for name in [*study.main_targets, "macs_m"]:
        budgets = spread(study, name, TARGETS)
        limits = limits_of(study, name, budgets)
        cost = study.devices[name].cost(study.space, generator.generate(limits, samples=1))
        asked = budgets * (1 - generator.margin)
        error[name], tau[name] = float(np.abs(cost / asked - 1).mean()), float(kendall_tau(cost, asked))
        raw[name] = float((cost <= budgets).mean())
        met[name] = float(generator.select(limits).feasible.mean())
    return {"raw_error": error, "tau": tau, "raw_met": raw, "met": met}


def quality(study, generator, seed: int) -> dict:
    """Measured accuracy of the networks for ten budgets on the first target."""
    name, space, rng = study.main_targets[0], study.space, np.random.default_rng((2026, seed))
    device, budgets = study.devices[name], spread(study, study.main_targets[0], BUDGETS)
    sample = space.sample(RANDOM, rng)
    front = search(space, study.predictor, [device], "nsga2", EVALUATIONS, seed)
    chosen = {
        "generated": generator.select(limits_of(study, name, budgets)).codes,
        "random": best_within(budgets, sample, study.predictor.evaluate(sample), costs_of(space, [device], sample)),
        "nsga2": best_within(budgets, front.codes, front.accuracy, front.costs),
    }
    measured = {k: study.evaluate(codes) for k, codes in chosen.items()}
    within = {k: (device.cost(space, codes) <= budgets).tolist() for k, codes in chosen.items()}
    gap = 100 * (measured["nsga2"] - measured["generated"])
    return {
        "predicted": {k: float(study.predictor.evaluate(chosen[k]).mean()) for k in measured},
        "measured": {k: [round(float(a), 4) for a in v] for k, v in measured.items()},
        "within": within, "gap_points": {"mean": float(gap.mean()), "worst": float(gap.max())},
    }  # fmt: skip


def best_within(budgets: np.ndarray, codes: np.ndarray, accuracy: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """(n, d): the most accurate network within each budget; the cheapest where none fits."""
    rows = []
    for budget in budgets:
        fits = overshoot(costs, np.array([budget])) <= 1
        rows.append(np.where(fits, accuracy, -1.0).argmax() if fits.any() else costs[:, 0].argmin())
    return codes[rows]


def speed(study) -> dict:
    """Seconds for 100 budgets in one pass, and for a constrained search each that is at least as accurate."""
    name, generator = study.main_targets[0], study.generator("sgnas")
    budgets = spread(study, name, TARGETS)
    limits = limits_of(study, name, budgets)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        kept = generator.select(limits)
        seconds.append(time.perf_counter() - start)
    ours, result = float(np.median(seconds)), {}
    for evaluations in LADDER:
        start = time.perf_counter()
        found = [
            search(
                study.space, study.predictor, [study.devices[name]], "constrained", evaluations, 0, budgets={name: b}
            )
            for b in budgets
        ]
        taken = time.perf_counter() - start
        best = float(np.mean([f.accuracy.max() for f in found]))
        result = {"evaluations_each": evaluations, "seconds": taken, "accuracy": best}
        if best >= kept.accuracy.mean():
            break
    return {
        "generator": {"ms": 1000 * ours, "accuracy": float(kept.accuracy.mean())}, "constrained": result,
        "ratio": taken / ours,
    }  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
