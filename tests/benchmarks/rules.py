"""Which rule trains the better supernet in the same time: uniform, sandwich or progressive?

    python -m tests.benchmarks.rules fashion-mnist docs/rules.csv --minutes 30 [--rule sandwich]

First every rule's epochs per minute are measured, one after the other, and kept in `out/rules/epochs.json`; then each
trains as many epochs as fit, and 50 fixed subnets from smallest to largest are scored on all validation images. A rule whose
rows are in the file is passed over; a stopped training goes on from its checkpoint under `out/rules`. A finished study's
supernet stands for its own rule where it was trained no longer than that.
"""

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.picture import lines

SUBNETS, TRIAL = 50, 0.25


def config_of(recipe, rule: str, epochs: float):
    """The recipe's settings under another rule."""
    return recipe.supernet.model_copy(update={"rule": rule, "epochs": epochs})


def fixed_subnets(space, n: int = SUBNETS):
    """(n, d): networks spread evenly over the logarithm of MACs, smallest and largest among them."""
    from explorer.devices import load_device
    from explorer.evaluators import spread_sample

    macs = load_device("macs_m")
    codes = spread_sample(space, 20 * n, lambda c: macs.cost(space, c), np.random.default_rng(11))
    costs = np.log(macs.cost(space, codes))
    rungs = np.linspace(costs.min(), costs.max(), n)
    rows = [int(np.abs(costs - rung).argmin()) for rung in rungs]
    return codes[rows], np.exp(costs[rows])


def draw(out: Path) -> None:
    """The table as an SVG beside it: accuracy over the logarithm of MACs, one line per rule."""
    rows = list(csv.DictReader(out.open()))
    series = {
        rule: (
            [float(r["macs_m"]) for r in rows if r["rule"] == rule],
            [float(r["val"]) for r in rows if r["rule"] == rule],
        )
        for rule in dict.fromkeys(row["rule"] for row in rows)
    }
    lines(out.with_suffix(".svg"), series, "MACs [M]; accuracy on 5,000 validation images")


def main(name: str, out: Path, minutes: float, rules: list[str]) -> None:
    """Fill the table."""
    from explorer.cli.terminal import progress
    from explorer.data.datasets import load_dataset
    from explorer.evaluators import SharedWeights
    from explorer.study import open_study
    from explorer.study.recipe import load_recipe
    from explorer.supernets import train_supernet

    recipe = load_recipe(name)
    images = load_dataset(recipe.data, recipe.seed)
    done = {row["rule"] for row in csv.DictReader(out.open())} if out.exists() else set()
    work = Path("out/rules")
    work.mkdir(parents=True, exist_ok=True)
    if not (work / "epochs.json").exists():
        epochs = {}
        train_supernet(recipe.search_space, images, config_of(recipe, "sandwich", TRIAL / 10), recipe.seed)  # compiles
        for rule in rules:
            start = time.monotonic()
            train_supernet(recipe.search_space, images, config_of(recipe, rule, TRIAL), recipe.seed)
            epochs[rule] = round(TRIAL * 60 * minutes / (time.monotonic() - start), 1)
            print(f"{rule}: {epochs[rule]:.1f} epochs in {minutes:g} minutes", flush=True)
        (work / "epochs.json").write_text(json.dumps(epochs))
    epochs = json.loads((work / "epochs.json").read_text())
    epochs = {rule: count for rule, count in epochs.items() if rule in rules and rule not in done}
    for rule, count in epochs.items():
        start = time.monotonic()
        if rule == recipe.supernet.rule and recipe.supernet.epochs <= 1.1 * count:
            supernet, count = open_study(name).supernet, recipe.supernet.epochs
        else:
            config, checkpoint = config_of(recipe, rule, count), work / f"{rule}.safetensors"
            supernet = train_supernet(recipe.search_space, images, config, recipe.seed, checkpoint, progress)
        seconds = time.monotonic() - start
        codes, macs = fixed_subnets(supernet.space)
        accuracy = SharedWeights(supernet, images, "val", calibration=recipe.scores.calibration_images).evaluate(codes)
        new = not out.exists()
        with out.open("a") as file:
            file.write("rule,epochs,macs_m,val\n" if new else "")
            file.writelines(f"{rule},{count:.1f},{m:.4f},{a:.4f}\n" for m, a in zip(macs, accuracy))
        print(f"{rule}: {seconds:.0f} s, mean {accuracy.mean():.4f}, smallest {accuracy[0]:.4f}", flush=True)
    draw(out)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rule", action="append")
    given = parser.parse_args()
    main(given.study, given.out, given.minutes, given.rule or ["sandwich", "progressive", "uniform"])
