"""Photographs of clothes, 20 minutes an arm on two cores: what the pretrained start and the elastic training are worth.

    python -m tests.benchmarks.photographs docs/photographs.csv [--minutes 20] [--seeds 3] [--arm elastic ...]

Arms, all on the same training photographs, measured on the validation part (no test photograph is read):

    elastic   the space `lite-w1.0` from lite0, sandwich rule, as the recipe `clothing`
    shrinking the same, with progressive shrinking instead
    scratch   the same space from nothing (learning rate 0.1)
    alone     lite0's own network, fine-tuned alone: no smaller networks
    usual     the first edition: every photograph squashed to 32 x 32, `mobile-32` from nothing

The epochs that fit into the minutes are timed once per arm, on an idle machine, and kept beside the table: every seed
has as many. So an arm may run on one core, beside others; its minutes are those that the processor worked, on all
cores together. A row per arm and seed is appended as it is done; a row that is there is not run again.
"""

import argparse
import csv
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from explorer.data.datasets import load_dataset
from explorer.data.folders import Folder
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


class Arm:
    """One way to train.

    Args:
        name: one of `ARMS`.
        seed: seed of the parts that are drawn, of the head and of the training.
    """

    def __init__(self, name, seed):
        self.name, self.seed = name, seed
        recipe = load_recipe("clothing")
        self.config, self.space = recipe.supernet, recipe.search_space
        if name == "usual":
            self.config = TrainConfig(batch=128, lr=0.1, rule="uniform", random_subnets=2, shift=2, flip=True)
            self.space = SPACES["mobile-32"]
        elif name in ("shrinking", "scratch"):
            self.config = self.config.model_copy(
                update={"shrinking": {"rule": "progressive"}, "scratch": {"lr": 0.1}}[name]
            )
        self.images = squashed(seed) if name == "usual" else load_dataset(PHOTOGRAPHS, seed, image_size(self.space))
        self.known = self.space.for_images(self.images.channels, len(self.images.classes), self.images.size)

    def train(self, epochs):
        """Return the supernet, or the one network, trained for so many epochs."""
        config = self.config.model_copy(update={"epochs": epochs})
        start = None if self.name in ("usual", "scratch") else pretrained("lite0", self.known, self.seed)
        if self.name == "alone":
            return train_network(start.subnet(published(self.known)), self.images, config, self.seed)
        return train_supernet(self.space, self.images, config, self.seed, supernet=start)

    def timed(self, minutes):
        """Return the epochs that fit into the minutes, by twelve steps after as many that may compile."""
        steps, epoch = 12, max(1, len(self.images.train) // self.config.batch)
        for _ in range(2):
            start = time.perf_counter()
            self.train(steps / epoch)
            seconds = time.perf_counter() - start
        return 60 * minutes / (seconds / steps * epoch)

    def run(self, epochs):
        """Return processor minutes, and the accuracies of the largest, the knee and the smallest network or None."""
        start = time.process_time()
        made = self.train(epochs)
        spent = (time.process_time() - start) / 60
        if self.name == "alone":
            return spent, accuracy(fused(recalibrate(made, self.images, 512)), self.images.val), None, None
        rows = [largest(self.known), smallest(self.known)]
        if self.name != "usual":
            study = open_study("clothing")
            rows.append(np.array(study.generate({"cpu": study.knee("cpu")}).architecture.choices, np.int8))
        found = SharedWeights(made, self.images, "val", calibration=512).evaluate(np.stack(rows))
        return spent, found[0], found[2] if len(found) > 2 else None, found[1]


def squashed(seed):
    """Read the same parts as the first edition read pixels: the whole photograph, squashed, not turned upright."""
    folder = Folder(Path(PHOTOGRAPHS.removeprefix("folder:")), seed, 32)
    images = folder.images(PHOTOGRAPHS)
    files = {file.name: file for file in folder.listing.files}

    def pixels(name):
        with Image.open(files[name].path) as image:
            return np.asarray(image.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)

    def part(name):
        found = np.stack([pixels(folder.names[i]) for i in folder.rows[name]])
        return replace(images.split(name), images=torch.from_numpy(found), photos=None)

    train, val, test = (part(name) for name in ("train", "val", "test"))
    scaled = train.images.float() / 255
    mean, std = (tuple(of((0, 2, 3)).tolist()) for of in (scaled.mean, scaled.std))
    return replace(images, train=train, val=val, test=test, mean=mean, std=std, fingerprint="")


def published(space):
    """Return the codes of lite0 as it was published: kernels of 3 in the stages 1, 3 and 6."""
    values = {d: options[-1] for d, options in space.decisions.items()}
    values |= {d: 3 for d in values if d[0] == "k" and d[1] in "136"}
    return [list(options).index(values[d]) for d, options in space.decisions.items()]


def epochs_of(arms, minutes, file):
    """Return arm -> epochs, timed where the file does not have them yet."""
    known = json.loads(file.read_text()) if file.exists() else {}
    for name in arms:
        if name not in known:
            known[name] = round(Arm(name, 0).timed(minutes), 2)
            file.write_text(json.dumps(known))
    return known


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
    epochs = epochs_of(asked.arm or ARMS, asked.minutes, asked.out.with_suffix(".epochs.json"))
    print(epochs, flush=True)
    for seed in range(asked.seeds):
        for arm in asked.arm or ARMS:
            if (arm, seed) in done:
                continue
            minutes, *found = Arm(arm, seed).run(epochs[arm])
            cells = [arm, seed, f"{minutes:.1f}", epochs[arm], *("" if v is None else f"{v:.4f}" for v in found)]
            with open(asked.out, "a") as file:
                file.write(",".join(map(str, cells)) + "\n")
            print(*cells, flush=True)


if __name__ == "__main__":
    main()
