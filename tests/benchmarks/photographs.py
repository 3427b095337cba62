"""Photographs of clothes, 20 minutes an arm on two cores: what the pretrained start and the elastic training are worth.

    python -m tests.benchmarks.photographs docs/photographs.csv [--minutes 20] [--seeds 3] [--arm elastic ...]

Arms, all on the same training photographs, measured on the validation part (no test photograph is read):

    elastic   the space `lite-w1.0` from lite0, sandwich rule, as the recipe `clothing`
    shrinking the same, with progressive shrinking instead
    scratch   the same space from nothing (learning rate 0.1)
    alone     lite0's own network, fine-tuned alone: no smaller networks
    usual     the first edition: every photograph squashed to 32 x 32, `mobile-32` from nothing

A row per arm and seed is appended as it is done; a row that is there is not run again.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np

from explorer.data.datasets import SQUASHED, load_dataset
from explorer.evaluators import SharedWeights
from explorer.evaluators.shared_weights import accuracy, fused
from explorer.spaces import SPACES
from explorer.spaces.base import image_size
from explorer.study import open_study
from explorer.study.recipe import load_recipe
from explorer.supernets import recalibrate, train_network, train_supernet
from explorer.supernets.config import TrainConfig
from explorer.supernets.sampling import largest, smallest
from explorer.supernets.sources import pretrained
from tests.conftest import REFERENCE

COLUMNS = ("arm", "seed", "minutes", "epochs", "largest", "knee", "smallest")
ARMS = ("elastic", "shrinking", "scratch", "alone", "usual")
PHOTOGRAPHS = f"folder:{REFERENCE / 'clothing' / 'clothing.zip'}"


def timed_epochs(minutes, step, images, batch):
    """Epochs that fit into the minutes: `step()` runs four steps, the second time without compilation."""
    step()
    start = time.perf_counter()
    step()
    return 60 * minutes / ((time.perf_counter() - start) / 4 * max(1, images // batch))


def run(arm, seed, minutes):
    """Train one arm; returns (minutes, epochs, accuracy of the largest, the knee and the smallest network)."""
    recipe = load_recipe("clothing")
    config = recipe.supernet
    if arm == "usual":
        images = load_dataset(PHOTOGRAPHS, seed, 32, reading=SQUASHED)
        config = TrainConfig(batch=128, lr=0.1, rule="uniform", random_subnets=2, shift=2, flip=True)
        space = SPACES["mobile-32"]
    else:
        space = recipe.search_space
        images = load_dataset(PHOTOGRAPHS, seed, image_size(space))
        config = config.model_copy(update={"rule": "progressive"} if arm == "shrinking" else {})
        config = config.model_copy(update={"lr": 0.1} if arm == "scratch" else {})
    known = space.for_images(images.channels, len(images.classes), images.size)

    def fresh():
        return None if arm in ("usual", "scratch") else pretrained("lite0", known, seed)

    def own_network():
        """lite0 as it was published: kernels of 3 in the stages 1, 3 and 6."""
        values = {d: options[-1] for d, options in known.decisions.items()}
        values |= {d: 3 for d in values if d[0] == "k" and d[1] in "136"}
        codes = [list(options).index(values[d]) for d, options in known.decisions.items()]
        return fresh().subnet(codes)

    def trained(epochs):
        timed = config.model_copy(update={"epochs": epochs})
        if arm == "alone":
            return train_network(own_network(), images, timed, seed)
        return train_supernet(space, images, timed, seed, supernet=fresh())

    short = 4 * config.batch / len(images.train)
    epochs = timed_epochs(minutes, lambda: trained(short), len(images.train), config.batch)
    start = time.perf_counter()
    made = trained(epochs)
    spent = (time.perf_counter() - start) / 60
    if arm == "alone":
        network = recalibrate(made, images, 512)
        return spent, epochs, accuracy(fused(network), images.val), None, None
    rows = [largest(known), smallest(known)]
    if arm != "usual":
        study = open_study("clothing")
        knee = study.generate({"cpu": study.knee("cpu")}).architecture
        rows.insert(1, np.array(knee.choices, np.int8))
    found = SharedWeights(made, images, "val", calibration=512).evaluate(np.stack(rows))
    return spent, epochs, found[0], found[1] if arm != "usual" else None, found[-1]


def main():
    """Run what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arm", action="append", choices=ARMS)
    asked = parser.parse_args()
    done = set()
    if asked.out.exists():
        with open(asked.out) as file:
            done = {(row["arm"], int(row["seed"])) for row in csv.DictReader(file)}
    else:
        asked.out.write_text(",".join(COLUMNS) + "\n")
    for seed in range(asked.seeds):
        for arm in asked.arm or ARMS:
            if (arm, seed) in done:
                continue
            values = run(arm, seed, asked.minutes)
            cells = [arm, seed, *("" if v is None else f"{v:.4f}" for v in values)]
            with open(asked.out, "a") as file:
                file.write(",".join(map(str, cells)) + "\n")
            print(*cells, flush=True)


if __name__ == "__main__":
    main()
