"""Seconds a network against rank correlation: what ranks networks, and what only counts channels.

    python -m tests.benchmarks.ladder truth data/ladder [--jobs 2] [--spaces darts]
    python -m tests.benchmarks.ladder scores data/ladder [--spaces darts]
    python -m tests.benchmarks.ladder times data/ladder
    python -m tests.benchmarks.ladder report data/ladder

`truth` trains networks of three spaces alone on fashion-mnist, on one fixed schedule a space (at most 60 s each on one core);
`scores` judges the same networks by every rung; `times` times every rung again on five networks of each space (run it alone);
`report` prints Kendall's tau overall and inside terciles of MACs, with bootstrap intervals. Rows are appended, so a stopped run
goes on.
"""

import argparse
import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

# space -> width, depth, networks, training images, epochs
TRUTH = {
    "mobile-32": (None, None, 60, 20_000, 1.0),
    "nasbench201": (8, 1, 40, 10_000, 2.0),
    "darts": (8, 3, 40, 10_000, 1.0),
}  # fmt: skip
RUNGS = {
    "RWE": {"train": "head", "seeds": 2},
    "RWE, one seed": {"train": "head", "seeds": 1},
    "RWE, softmax head": {"train": "head", "seeds": 2, "head": "softmax"},
    "RWE, all depths": {"train": "head", "seeds": 2, "features": "all"},
    "bn": {"train": "bn", "seeds": 1, "epochs": 2, "train_images": 3000},
    "all": {"train": "all", "seeds": 1, "epochs": 1, "train_images": 3000},
    "all, 2 epochs": {"train": "all", "seeds": 1, "epochs": 2, "train_images": 3000},
}


def space_of(name: str):
    """A space as it is trained here."""
    from explorer.spaces import SPACES

    width, depth, *_ = TRUTH[name]
    return SPACES[name] if width is None else SPACES[name].scaled(width, depth)


def networks_of(name: str) -> np.ndarray:
    """(n, d): half of them spread evenly over MACs, half drawn as they come."""
    from explorer.devices import load_device
    from explorer.evaluators import spread_sample

    space, n, rng = space_of(name), TRUTH[name][2], np.random.default_rng(41)
    macs = load_device("macs_m")
    spread = spread_sample(space, n // 2, lambda codes: macs.cost(space, codes), rng)
    drawn = [row for row in space.sample(10 * n, rng) if not (spread == row).all(1).any()]
    return np.concatenate([spread, np.unique(np.array(drawn), axis=0)[rng.permutation(n - len(spread))]])


def train_one(name: str, row: list[int], seed: int) -> tuple[float, float]:
    """Validation accuracy of one network trained alone, and the seconds."""
    import torch

    from explorer.data.datasets import load_dataset
    from explorer.evaluators.shared_weights import accuracy
    from explorer.supernets import TrainConfig, build, recalibrate, train_network

    torch.set_num_threads(1)
    *_, count, epochs = TRUTH[name]
    images = load_dataset("fashion-mnist").subset(count)
    space = space_of(name).for_images(images.channels, len(images.classes), images.size)
    start = time.perf_counter()
    network = build(space.layers(row), images.mean, images.std, seed)
    train_network(network, images, TrainConfig(epochs=epochs, batch=64, lr=0.1, label_smoothing=0.1), seed)
    network = recalibrate(network, images)
    return accuracy(network, images.val), time.perf_counter() - start


def rows_of(path: Path) -> list[dict]:
    """The rows of a table, none where it is not there."""
    return list(csv.DictReader(path.open())) if path.exists() else []


def append(path: Path, row: dict) -> None:
    """One more row."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def truth(folder: Path, jobs: int, spaces: list[str]) -> None:
    """Train what is not in the table yet."""
    out = folder / "truth.csv"
    from joblib import Parallel, delayed

    from explorer.core.architecture import Architecture
    from explorer.devices import load_device

    for name in spaces:
        space, codes = space_of(name), networks_of(name)
        done = {row["key"] for row in rows_of(out) if row["space"] == name}
        todo = [row for row in codes if Architecture(space, row).key not in done]
        ours = space.for_images(1, 10, 28)
        costs = [[float(load_device(c).cost(ours, row[None])[0]) for c in ("macs_m", "params_m")] for row in todo]
        work = Parallel(jobs, return_as="generator")(delayed(train_one)(name, row.tolist(), 0) for row in todo)
        for row, (macs, params), (value, seconds) in zip(todo, costs, work):
            key = Architecture(space, row).key
            append(out, {"space": name, "key": key, "macs_m": f"{macs:.5f}", "params_m": f"{params:.6f}", "seed": 0,
                         "accuracy": f"{value:.4f}", "seconds": f"{seconds:.1f}"})  # fmt: skip
            print(name, key, f"{value:.4f}", f"{seconds:.0f} s", flush=True)


def scores(folder: Path, spaces: list[str]) -> None:
    """Judge the networks of the truth by every rung that is not in the table yet."""
    from explorer.core.architecture import Architecture
    from explorer.data.datasets import load_dataset
    from explorer.evaluators.zero_cost import SCORES

    table, out = folder / "truth.csv", folder / "scores.csv"
    images = load_dataset("fashion-mnist")
    for name in spaces:
        space = space_of(name).for_images(images.channels, len(images.classes), images.size)
        keys = [row["key"] for row in rows_of(table) if row["space"] == name]
        for rung in [*SCORES, *RUNGS]:
            done = {row["key"] for row in rows_of(out) if (row["space"], row["rung"]) == (name, rung)}
            todo = [key for key in keys if key not in done]
            if not todo:
                continue
            codes = np.array([Architecture.from_key(space, key).choices for key in todo], np.int8)
            for own, values, each in score_by(rung, space, images, codes):
                for key, value in zip(todo, values):
                    row = {"space": name, "key": key, "rung": own, "score": f"{value:.6g}", "seconds": f"{each:.3f}"}
                    append(out, row)
                print(name, own, f"{each:.2f} s a network", flush=True)


def times(folder: Path, spaces: list[str], networks: int = 5) -> None:
    """Put seconds a network, from networks spread over the cost, in the place of those that were noted."""
    import torch

    from explorer.core.architecture import Architecture
    from explorer.data.datasets import load_dataset
    from explorer.evaluators.zero_cost import SCORES

    torch.set_num_threads(1)
    images, out = load_dataset("fashion-mnist"), folder / "scores.csv"
    rows = rows_of(out)
    for name in spaces:
        space = space_of(name).for_images(images.channels, len(images.classes), images.size)
        own = sorted((r for r in rows_of(folder / "truth.csv") if r["space"] == name), key=lambda r: float(r["macs_m"]))
        chosen = [own[i]["key"] for i in np.linspace(0, len(own) - 1, networks).astype(int)]
        codes = np.array([Architecture.from_key(space, key).choices for key in chosen], np.int8)
        list(score_by("grad_norm", space, images, codes[:1]))  # what is compiled once is compiled here
        for rung in [*SCORES, *RUNGS]:
            for known, _, each in score_by(rung, space, images, codes):
                for row in rows:
                    if (row["space"], row["rung"]) == (name, known):
                        row["seconds"] = f"{each:.3f}"
                print(name, known, f"{each:.2f} s a network", flush=True)
    temporary = out.with_suffix(".part")
    for row in rows:
        append(temporary, row)
    temporary.replace(out)


def score_by(rung: str, space, images, codes: np.ndarray) -> Iterator[tuple[str, list[float], float]]:
    """(n, d) -> name, scores (higher is said to be better) and seconds a network; a training gives two: its error, and
    how slowly its loss fell."""
    from explorer.evaluators import RandomWeights
    from explorer.evaluators.zero_cost import SCORES, zero_cost

    start = time.perf_counter()
    if rung in SCORES:
        values = [zero_cost(space.layers(row), images.train, images.mean, images.std, rung) for row in codes]
        yield rung, values, (time.perf_counter() - start) / len(codes)
        return
    found = RandomWeights(space, images, **RUNGS[rung]).scores(codes)
    each = (time.perf_counter() - start) / len(codes)
    yield rung, [1 - score.error for score in found], each
    if found[0].slowness is not None:
        yield f"{rung}, its loss", [1 - score.slowness for score in found], each


def report(folder: Path) -> None:
    """Print one JSON document: space -> rung -> seconds a network, taus and their intervals."""
    from explorer.evaluators import ladder

    spaces = dict.fromkeys(row["space"] for row in rows_of(folder / "scores.csv"))
    print(json.dumps({name: ladder(name, folder).round(4).to_dict("index") for name in spaces}, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["truth", "scores", "times", "report"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--spaces", nargs="+", choices=list(TRUTH), default=list(TRUTH))
    given = parser.parse_args()
    if given.what == "truth":
        truth(given.folder, given.jobs, given.spaces)
    elif given.what == "scores":
        scores(given.folder, given.spaces)
    elif given.what == "times":
        times(given.folder, given.spaces)
    else:
        report(given.folder)
