"""Random-weight evaluation on NAS-Bench-301 and CIFAR-10, by the protocol of the paper's line: what a head's score says.

    python -m tests.benchmarks.rwe heads docs/rwe.csv [--cells 100] [--seeds 2] [--width 32]
    python -m tests.benchmarks.rwe variants docs/rwe.csv [--cells 100]
    python -m tests.benchmarks.rwe large docs/rwe.csv [--cells 100]
    python -m tests.benchmarks.rwe report docs/rwe.csv > docs/rwe.json

Needs `EXPLORER_CIFAR10` and the benchmark's table in `EXPLORER_REFERENCE`. The truth is the table's accuracy of every cell
(100 epochs; no image order, seed or batch of ours is in it). `heads` computes the features of 2,000 training and 1,000
validation images once per cell and draw of weights, and fits every head and scaling to the same features; `variants` does so
with frozen statistics and without norms behind pools (one draw); `large` reads 10,000 training images for the heads ridge
and sgd (one draw). Rows are appended, one file may be given to several processes with `--part I/N`; a row that is there is
not computed again. `report` prints Kendall's tau over all cells and inside terciles of parameters, with 90 % intervals.
"""

import argparse
import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd
import torch

from explorer.data.datasets import load_dataset
from explorer.evaluators.agreement import agreement
from explorer.evaluators.linear_head import fit_head
from explorer.evaluators.random_weights import BATCH, feature_layers, pooled
from explorer.spaces.nasbench301 import NasBench301Space
from explorer.supernets import build, recalibrate
from tests.conftest import REFERENCE

COLUMNS = ("cell", "seed", "width", "images", "pools", "statistics", "features", "scaling", "head", "score", "seconds")
HEADS = {
    "ridge": ("ridge", 0),
    "softmax": ("softmax", 0),
    "sgd, 1 epoch": ("sgd", 1),
    "sgd, 5 epochs": ("sgd", 5),
    "sgd, 30 epochs": ("sgd", 30),
}
FEW = ("ridge", "sgd, 5 epochs")  # heads of the variants
VAL, FIRST = 1000, 1000  # validation images; first seed of the weights
PUBLISHED = ("synflow", "grasp", "fisher", "grad_norm", "l2_norm", "plain", "nwot", "epe_nas", "jacov", "snip")


@dataclass(frozen=True)
class BarePools(NasBench301Space):
    """The same networks without norms behind pools."""

    plain: ClassVar[bool] = False


def cells() -> pd.DataFrame:
    """The table of the benchmark, in its order."""
    return pd.read_csv(REFERENCE / "nasbench301" / "nb301_train.csv")


def judged(space, row, seed, images, count, statistics, heads, both):
    """Yield (features, scaling, head, score, seconds): the seconds of the features are in every one of them.

    Args:
        space: the space, at its width.
        row: a row of the table.
        seed: of the weights and of the order of images in gradient descent.
        images: CIFAR-10.
        count: training images.
        statistics: "batch" or "frozen".
        heads: names of heads.
        both: whether heads also read plain features, and features of three depths.
    """
    layers = space.layers(space.from_string(f"{row.normal}|{row.reduce}"))
    train, val = images.train.take(slice(0, count)), images.val.take(slice(0, VAL))
    start = time.process_time()
    network = build(layers, images.mean, images.std, seed)
    if statistics == "frozen":
        recalibrate(network, images, count, BATCH)
    names = feature_layers(layers, "all" if both else "last")
    known, asked = (pooled(network, names, part.images, statistics) for part in (train, val))
    spent, last = time.process_time() - start, known.shape[1] - layers[-1].cin
    for features in ("last", "all") if both else ("last",):
        of = slice(last, None) if features == "last" else slice(None)
        for scaling in ("standardised", "plain") if both and features == "last" else ("standardised",):
            for name in heads if features == "last" else FEW:
                kind, epochs = HEADS[name]
                begun = time.process_time()
                predict = fit_head(
                    known[:, of], train.labels, len(images.classes), kind, scaling == "standardised", epochs, seed
                )
                right = float((predict(asked[:, of]) == val.labels).double().mean())
                yield features, scaling, name, right, spent + time.process_time() - begun


def score(what: str, out: Path, count: int, seeds: int, width: int, part: tuple[int, int]) -> None:
    """Judge what is not in the table yet."""
    images = load_dataset("cifar10")
    plans = {
        "heads": [(NasBench301Space, "normed", "batch", 2000, tuple(HEADS), True, seeds)],
        "variants": [
            (NasBench301Space, "normed", "frozen", 2000, FEW, False, 1), (BarePools, "bare", "batch", 2000, FEW, False, 1)
        ],
        "large": [(NasBench301Space, "normed", "batch", 10_000, FEW, False, 1)],
    }[what]  # fmt: skip
    if not out.exists():
        out.write_text(",".join(COLUMNS) + "\n")
    for kind, pools, statistics, n, heads, both, draws in plans:
        space = kind("nasbench301", width=width)
        for seed in range(FIRST, FIRST + draws):
            done = pd.read_csv(out)
            done = done[(done.seed == seed) & (done.width == width) & (done.images == n) & (done.pools == pools)]
            done = set(done[done.statistics == statistics].cell)
            for cell, row in enumerate(cells().head(count).itertuples()):
                if cell in done or cell % part[1] != part[0] - 1:
                    continue
                found = list(judged(space, row, seed, images, n, statistics, heads, both))
                with open(out, "a") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    for features, scaling, head, right, spent in found:
                        writer.writerow([cell, seed, width, n, pools, statistics, features, scaling, head,
                                         f"{right:.4f}", f"{spent:.1f}"])  # fmt: skip
                print(what, pools, statistics, seed, cell, f"{found[0][3]:.4f}", f"{found[0][4]:.1f} s", flush=True)


def report(out: Path) -> None:
    """Print one JSON document: name of the score -> cells, tau, its terciles and intervals, seconds."""
    table, known = cells(), pd.read_csv(out)
    keys = ["width", "images", "pools", "statistics", "features", "scaling", "head"]
    scores, seconds = {}, {}
    for names, rows in known.groupby(keys, sort=False):
        mean = rows.groupby("cell").score.mean()
        scores[", ".join(map(str, names))] = mean
        seconds[", ".join(map(str, names))] = rows.groupby("cell").seconds.sum().mean()
    full = max(len(mean) for mean in scores.values())
    at = table.head(full)
    values = {"parameters": at.params_m, "MACs": at.macs_m, **{name: at[name] for name in PUBLISHED}}
    found = agreement({k: v.to_numpy() for k, v in values.items()}, at.val_accuracy.to_numpy(), at.params_m.to_numpy())
    tables = [found]
    for name, mean in scores.items():
        own = table.loc[mean.index]
        tables.append(agreement({name: mean.to_numpy()}, own.val_accuracy.to_numpy(), own.params_m.to_numpy()))
    found = pd.concat(tables)
    found.insert(0, "seconds", pd.Series(seconds))
    print(json.dumps(found.round(4).fillna(0).to_dict("index"), indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["heads", "variants", "large", "report"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--cells", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--part", default="1/1")
    given = parser.parse_args()
    if given.what == "report":
        report(given.out)
    else:
        torch.set_num_threads(1)
        own = tuple(int(n) for n in given.part.split("/"))
        score(given.what, given.out, given.cells, given.seeds, given.width, own)
