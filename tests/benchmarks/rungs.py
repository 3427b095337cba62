"""Short trainings on CIFAR-10 that rank cells, against published accuracies; and what average pools do to random weights.

    python -m tests.benchmarks.rungs try nasbench201 docs/rungs-tried.csv [--part 1/2]
    python -m tests.benchmarks.rungs judge nasbench201 docs/rungs.csv [--part 1/2]
    python -m tests.benchmarks.rungs report docs/rungs.csv > docs/rungs.json

Needs `EXPLORER_CIFAR10`, and the tables of NAS-Bench-201 (accuracy after 12 epochs) and NAS-Bench-301 in `EXPLORER_REFERENCE`.
`try` compares the candidates below on 40 cells that are used for nothing else; those that were chosen there are judged on fresh
cells by `judge`: 80 of NAS-Bench-201, half of them without and half with an average pool, and 100 of NAS-Bench-301. Written down
before they were judged: on NAS-Bench-201, random weights rank cells without average pools by their accuracy (tau above 0) and cells
with them backwards (below 0). Seeds, images and batches are ours, the accuracies are others'. Rows are appended; a row that is
there is not computed again. `report` prints Kendall's tau over all cells and inside terciles of MACs, with 90 % intervals.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from explorer.data.datasets import load_dataset
from explorer.devices import load_device
from explorer.evaluators import RandomWeights
from explorer.evaluators.agreement import agreement
from explorer.spaces import SPACES
from tests.benchmarks.ladder import append, rows_of
from tests.conftest import REFERENCE

TRIED, NETWORKS = 40, {"nasbench201": 80, "nasbench301": 100}
IMAGES = {"train_images": 3000, "val_images": 1000, "seeds": 1, "first_seed": 1000}
# space -> name -> width, depth, settings of RandomWeights
CANDIDATES: dict[str, dict[str, tuple[int, int, dict]]] = {
    "nasbench201": {
        "RWE": (16, 5, {"train": "head"}),
        "RWE, 1 cell": (16, 1, {"train": "head"}),
        "all, 5 cells, 0.1": (16, 5, {"train": "all", "lr": 0.1}),
        "all, 1 cell, 0.1": (16, 1, {"train": "all", "lr": 0.1}),
        "all, 1 cell, 0.02": (16, 1, {"train": "all", "lr": 0.02}),
        "all, 1 cell, 0.1, 2 epochs": (16, 1, {"train": "all", "lr": 0.1, "epochs": 2}),
        "all, 1 cell of 8, 0.1, 4 epochs": (8, 1, {"train": "all", "lr": 0.1, "epochs": 4}),
    },
    "nasbench301": {
        "all, 3 cells of 16, 0.1": (16, 3, {"train": "all", "lr": 0.1}),
        "all, 8 cells of 8, 0.1": (8, 8, {"train": "all", "lr": 0.1}),
        "all, 3 cells of 8, 0.1, 3 epochs": (8, 3, {"train": "all", "lr": 0.1, "epochs": 3}),
    },
}
CHOSEN: dict[str, list[str]] = {"nasbench201": [], "nasbench301": []}


def cells(space: str, what: str) -> pd.DataFrame:
    """name, accuracy and whether there is an average pool, of the cells that are tried or judged."""
    if space == "nasbench301":
        table = pd.read_csv(REFERENCE / space / "nb301_train.csv")
        table = table.assign(arch=table.normal + "|" + table.reduce, accuracy=table.val_accuracy)
        return table.tail(TRIED) if what == "try" else table.head(NETWORKS[space])
    table = pd.read_csv(REFERENCE / space / "nb201_train.csv.gz")
    table = table.iloc[np.random.default_rng(43).permutation(len(table))[40:]]  # the first 40 were looked at before
    table = table.assign(accuracy=table.cifar10_test_acc_12ep, pools=table.arch.str.contains("avg_pool"))
    if what == "try":
        return table.head(TRIED)
    fresh, half = table.iloc[TRIED:], NETWORKS[space] // 2
    return pd.concat([fresh[~fresh.pools].head(half), fresh[fresh.pools].head(half)])


def judge(space: str, out: Path, what: str, part: tuple[int, int]) -> None:
    """Judge what is not in the table yet."""
    if what == "judge" and not CHOSEN[space]:
        raise SystemExit(f"no candidate of {space} is chosen yet: try them, then name them in CHOSEN")
    images = load_dataset("cifar10")
    chosen = CANDIDATES[space] if what == "try" else {name: CANDIDATES[space][name] for name in CHOSEN[space]}
    for name, (width, depth, settings) in chosen.items():
        own = SPACES[space].scaled(width, depth)
        ranked = RandomWeights(own, images, **IMAGES | settings)
        for i, arch in enumerate(cells(space, what).arch):
            done = {(r["space"], r["rung"], r["arch"]) for r in rows_of(out)}
            if i % part[1] != part[0] - 1 or (space, name, arch) in done:
                continue
            score = ranked.scores([own.from_string(arch).choices])[0]
            slow = "" if score.slowness is None else f"{1 - score.slowness:.5f}"
            append(out, {"space": space, "rung": name, "arch": arch, "accuracy": f"{1 - score.error:.4f}", "speed": slow,
                         "seconds": f"{score.seconds:.2f}"})  # fmt: skip
        print(name, flush=True)


def report(out: Path) -> None:
    """Print one JSON document: space -> cells -> score -> tau, its terciles and intervals, seconds."""
    found, rows = {}, pd.DataFrame(rows_of(out))
    for space, own in rows.groupby("space", sort=False):
        table = pd.concat([cells(space, "try"), cells(space, "judge")]).drop_duplicates("arch").set_index("arch")
        known = [a for a in table.index if a in set(own.arch)]
        truth = table.loc[known]
        codes = np.array([SPACES[space].from_string(a).choices for a in known], np.int8)
        scores = {name: load_device(cost).cost(SPACES[space], codes)
                  for name, cost in (("MACs", "macs_m"), ("parameters", "params_m"))}  # fmt: skip
        seconds = {}
        for rung, values in own.groupby("rung", sort=False):
            values = values.set_index("arch").reindex(known)
            scores[rung], seconds[rung] = (
                values.accuracy.astype(float).to_numpy(),
                float(values.seconds.astype(float).mean()),
            )
            if (values.speed != "").all():
                scores[f"{rung}, its loss"] = values.speed.astype(float).to_numpy()
        groups = {"all": np.ones(len(known), bool)}
        if space == "nasbench201":
            groups |= {"without average pools": ~truth.pools.to_numpy(), "with average pools": truth.pools.to_numpy()}
        found[space] = {}
        for group, at in groups.items():
            result = agreement({k: v[at] for k, v in scores.items()}, truth.accuracy.to_numpy()[at], scores["MACs"][at])
            result.insert(0, "seconds", pd.Series(seconds))
            found[space][group] = result.round(4).fillna(0).to_dict("index")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["try", "judge", "report"])
    parser.add_argument("about", nargs="+")
    parser.add_argument("--part", default="1/1")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.what == "report":
        report(Path(given.about[0]))
    else:
        own = tuple(int(n) for n in given.part.split("/"))
        judge(given.about[0], Path(given.about[1]), given.what, own)
