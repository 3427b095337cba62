"""What fair sampling and switchable norms buy: a unified supernet three times, ten minutes each.

    python -m tests.benchmarks.unified docs/unified.csv --minutes 10

Epochs that fit are measured first, for each; 30 fixed networks from smallest to largest are scored on all validation images.
"""

import argparse
import csv
import time
from pathlib import Path

from explorer.cli.terminal import progress
from explorer.data.datasets import load_dataset
from explorer.evaluators import SharedWeights
from explorer.study.recipe import load_recipe
from explorer.supernets import make_supernet, train_supernet
from explorer.supernets.unified import SingleNormSupernet
from tests.benchmarks.rules import fixed_subnets

RUNS = {
    "forced, switchable": ("forced", True),
    "uniform, switchable": ("uniform", True),
    "forced, single": ("forced", False),
}
NETWORKS, TRIAL = 30, 0.06


def main(out: Path, minutes: float) -> None:
    """Fill the table; runs that it has are passed over."""
    recipe = load_recipe("fashion-mnist-unified")
    images = load_dataset(recipe.data, recipe.seed)
    space = recipe.search_space.for_images(images.channels, len(images.classes), images.size)
    done = {row["run"] for row in csv.DictReader(out.open())} if out.exists() else set()

    def trained(rule: str, switchable: bool, epochs: float):
        config = recipe.supernet.model_copy(update={"rule": rule, "epochs": epochs})
        kind = make_supernet if switchable else SingleNormSupernet
        supernet = kind(space, images.mean, images.std, recipe.seed)
        return train_supernet(space, images, config, recipe.seed, None, progress, supernet)

    trained("forced", True, TRIAL / 4)  # compiles
    epochs = {}
    for name, settings in RUNS.items():
        start = time.monotonic()
        trained(*settings, TRIAL)
        epochs[name] = round(TRIAL * 60 * minutes / (time.monotonic() - start), 1)
    print(epochs, flush=True)
    codes, macs = fixed_subnets(space, NETWORKS)
    for name, settings in RUNS.items():
        if name in done:
            continue
        supernet = trained(*settings, epochs[name])
        accuracy = SharedWeights(supernet, images, "val", calibration=recipe.scores.calibration_images).evaluate(codes)
        new = not out.exists()
        with out.open("a") as file:
            file.write("run,epochs,macs_m,val\n" if new else "")
            file.writelines(f'"{name}",{epochs[name]},{m:.4f},{a:.4f}\n' for m, a in zip(macs, accuracy))
        print(name, f"mean {accuracy.mean():.4f}, {accuracy[0]:.4f} to {accuracy[-1]:.4f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    main(given.out, given.minutes)
