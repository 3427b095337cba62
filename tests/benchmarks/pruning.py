"""Operations, filters and weights together against operations alone and against narrower networks, at equal size.

    python -m tests.benchmarks.pruning sizes docs/pruning.csv [--seeds 0 1 2] [--methods width]
    python -m tests.benchmarks.pruning memory
    python -m tests.benchmarks.pruning latency FAMILY
    python -m tests.benchmarks.pruning report docs/pruning.csv

`sizes` searches a network of cells on fashion-mnist (at most ten minutes a run) and trains every network of 50, 25 and 10 % alone on
one short schedule; accuracies are of all 10,000 test images. `memory` is the highest use of a process that searches in three stages,
against one that searches all at once. `latency` times a family's networks in onnxruntime. Rows are appended, so a stopped run goes on.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from tests.benchmarks.ladder import append, rows_of

SIZES = (0.5, 0.25, 0.1)
# name -> what differs from the recipe's search; None: no search, a narrower network with every operation
METHODS: dict[str, dict | None] = {
    "all three": {}, "operations": {"granularities": ("operation",)}, "width": None,
    "all three, pruned once": {"regrow": 0.0}, "operations and filters": {"granularities": ("operation", "filter")},
}  # fmt: skip
EPOCHS = 0.8  # of the training of every network


def base(images, **changes):
    """The network of cells that all start from (or narrower ones)."""
    from explorer.family import FamilyConfig

    return FamilyConfig(**changes).start(images)


def narrower(images, size: float):
    """The widths, scaled by one factor and rounded, whose parameters are nearest to a size."""
    from explorer.devices.counts import params
    from explorer.family import FamilyConfig

    wide = FamilyConfig().width
    full, best = sum(map(params, base(images))), None
    for factor in np.linspace(0.05, 1, 400):
        widths = tuple(max(1, round(factor * wide * 2**i)) for i in range(3))
        layers = base(images, width=widths)
        off = abs(sum(map(params, layers)) / (size * full) - 1)
        best = min(best or (9.0, []), (off, layers), key=lambda pair: pair[0])
    return best[1]


def sizes(out: Path, seeds: list[int], methods: list[str]) -> None:
    """Fill the table."""
    from explorer.datasets import load_dataset
    from explorer.terminal import progress

    images = load_dataset("fashion-mnist")
    for seed, (method, changes) in itertools.product(seeds, METHODS.items()):
        if method in methods:
            done = {float(r["size"]) for r in rows_of(out) if (r["method"], r["seed"]) == (method, str(seed))}
            if done >= set(SIZES):
                continue
            start = time.perf_counter()
            networks = _narrow(images, seed) if changes is None else _searched(images, changes, seed, progress)
            seconds = time.perf_counter() - start
            for size, snapshot in networks.items():
                if size not in done:
                    append(out, {"method": method, "seed": seed, "size": size} | _trained(snapshot, images, seed)
                           | {"search_seconds": f"{seconds:.0f}"})  # fmt: skip
                    print(rows_of(out)[-1], flush=True)


def _searched(images, changes: dict, seed: int, progress) -> dict:
    from explorer.family import FamilyConfig
    from explorer.pruning import PruneSearch, Snapshot, stage_ends

    config = FamilyConfig()
    settings = config.search.model_copy(update={"sizes": SIZES} | changes)
    layers = config.start(images)
    search = PruneSearch(layers, images, settings, stage_ends(layers, settings.stages), seed=seed)
    found: dict = {}
    search.run(lambda share, carved: found.setdefault(share, Snapshot(share, carved, {}, {})), progress=progress)
    return found


def _narrow(images, seed: int) -> dict:
    from explorer.pruning import Carved, Snapshot
    from explorer.supernets import build

    layers = {size: narrower(images, size) for size in SIZES}
    return {
        size: Snapshot(size, Carved(x, build(x, images.mean, images.std, seed), {}), {}, {})
        for size, x in layers.items()
    }


def _trained(snapshot, images, seed: int) -> dict:
    from explorer.evaluators.shared_weights import accuracy
    from explorer.pruning import finish
    from explorer.supernets import TrainConfig

    start = time.perf_counter()
    config = TrainConfig(epochs=EPOCHS, batch=64, lr=0.1, label_smoothing=0.1)
    done = finish(snapshot, images, config, seed, fresh=True)
    network = done.carved.network
    return {
        "params": snapshot.carved.params, "masked": snapshot.carved.masked, "val": f"{done.accuracy:.4f}",
        "test": f"{accuracy(network, images.test):.4f}", "seconds": f"{time.perf_counter() - start:.0f}",
    }  # fmt: skip


def report(table: Path) -> dict:
    """size -> method -> mean, least and most of the test accuracies, and their sizes."""
    found: dict = defaultdict(dict)
    for size in SIZES:
        for method in METHODS:
            rows = [r for r in rows_of(table) if r["method"] == method and float(r["size"]) == size]
            if rows:
                test = [float(r["test"]) for r in rows]
                found[str(size)][method] = {
                    "mean": float(np.mean(test)), "least": min(test), "most": max(test), "seeds": len(rows),
                    "params": [int(r["params"]) for r in rows], "search_seconds": [int(r["search_seconds"]) for r in rows],
                }  # fmt: skip
    return dict(found)


def peak(stages: int) -> dict:
    """Highest memory of this process over a short search."""
    import resource

    import torch

    from explorer.datasets import load_dataset
    from explorer.family import FamilyConfig
    from explorer.pruning import PruneSearch, stage_ends

    torch.set_num_threads(1)
    images = load_dataset("fashion-mnist").subset(2000)
    config = FamilyConfig()
    layers = config.start(images)
    settings = config.search.model_copy(
        update={"sizes": (0.25,), "stages": stages, "warmup": 2, "steps": 2, "rounds": 2, "batch": 128}
    )
    search = PruneSearch(layers, images, settings, stage_ends(layers, stages) if stages > 1 else ())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    search.run(lambda share, carved: None)
    return {"peak_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024}


def memory() -> dict:
    """Both searches, each in a process of its own."""
    found = {}
    for name, stages in (("staged", 3), ("at once", 1)):
        command = [sys.executable, "-m", "tests.benchmarks.pruning", "peak", str(stages)]
        found[name] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["peak_mb"]
    return found | {"reduction": 1 - found["staged"] / found["at once"]}


def latency(folder: str) -> dict:
    """Milliseconds of every network of a family on one thread of this machine, and the first one's over each."""
    from explorer.devices.measure import measure_networks
    from explorer.study import open_study

    space = open_study(folder).space
    times = measure_networks(list(space.networks.values()))
    return {name: {"ms": float(t), "speed-up": float(times[0] / t)} for name, t in zip(space.networks, times)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["sizes", "memory", "peak", "latency", "report"])
    parser.add_argument("about", nargs="?")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    given = parser.parse_args()
    if given.what == "sizes":
        sizes(Path(given.about), given.seeds, given.methods)
    else:
        work = {"memory": lambda _: memory(), "peak": lambda a: peak(int(a)), "latency": latency,
                "report": lambda a: report(Path(a))}  # fmt: skip
        print(json.dumps(work[given.what](given.about), indent=1))
