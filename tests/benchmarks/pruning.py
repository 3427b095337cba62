"""Operations, filters and weights together against operations alone and against narrower networks, at equal size.

    python -m tests.benchmarks.pruning sizes docs/pruning.csv [--seeds 0 1 2] [--methods width]
    python -m tests.benchmarks.pruning memory
    python -m tests.benchmarks.pruning latency FAMILY
    python -m tests.benchmarks.pruning report docs/pruning.csv

`sizes` searches a network of cells on fashion-mnist (at most ten minutes a run) and trains every network of 50, 25 and 10 % alone on
one short schedule; accuracies are of all 10,000 test images. "torch-pruning" (extra `peers`) is that library's documented way, global group
magnitude in steps, on the same network with as many training steps as our search has. `memory` is the highest use of a process that searches in three stages,
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
# name -> what differs from the recipe's search; None: no search, a narrower network with every operation; "peer": another library's
METHODS: dict[str, dict | str | None] = {
    "all three": {}, "operations": {"granularities": ("operation",)}, "width": None,
    "all three, pruned once": {"regrow": 0.0}, "operations and filters": {"granularities": ("operation", "filter")},
    "torch-pruning": "peer",
}  # fmt: skip
EPOCHS = 0.8  # of the training of every network


def base(images, **changes):
    """The network of cells that all start from (or narrower ones)."""
    from explorer.study.prune import FamilyConfig

    return FamilyConfig(**changes).start(images)


def narrower(images, size: float):
    """The widths, scaled by one factor and rounded, whose parameters are nearest to a size."""
    from explorer.study.prune import FamilyConfig

    wide = FamilyConfig().width
    full, best = sum(x.params() for x in base(images)), None
    for factor in np.linspace(0.05, 1, 400):
        widths = tuple(max(1, round(factor * wide * 2**i)) for i in range(3))
        layers = base(images, width=widths)
        off = abs(sum(x.params() for x in layers) / (size * full) - 1)
        best = min(best or (9.0, []), (off, layers), key=lambda pair: pair[0])
    return best[1]


def sizes(out: Path, seeds: list[int], methods: list[str]) -> None:
    """Fill the table."""
    from explorer.cli.terminal import progress
    from explorer.data.datasets import load_dataset

    images = load_dataset("fashion-mnist")
    for seed, (method, changes) in itertools.product(seeds, METHODS.items()):
        if method in methods:
            done = {float(r["size"]) for r in rows_of(out) if (r["method"], r["seed"]) == (method, str(seed))}
            if done >= set(SIZES):
                continue
            start = time.perf_counter()
            if changes == "peer":
                networks, train = _peer(images, seed, progress), _trained_plain
            else:
                networks = _narrow(images, seed) if changes is None else _searched(images, changes, seed, progress)
                train = _trained
            seconds = time.perf_counter() - start
            for size, snapshot in networks.items():
                if size not in done:
                    append(out, {"method": method, "seed": seed, "size": size} | train(snapshot, images, seed)
                           | {"search_seconds": f"{seconds:.0f}"})  # fmt: skip
                    print(rows_of(out)[-1], flush=True)


def _searched(images, changes: dict, seed: int, progress) -> dict:
    from explorer.pruning import PruneSearch, Snapshot, stage_ends
    from explorer.study.prune import FamilyConfig

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


def _peer(images, seed: int, progress) -> dict:
    """torch-pruning: whole groups of channels by magnitude, over all layers; training before, and between the sizes."""
    import copy

    import torch
    import torch_pruning

    from explorer.study.prune import FamilyConfig
    from explorer.supernets import TrainConfig, build, train_network

    search = FamilyConfig().search
    steps = search.stages * (search.warmup + search.rounds * search.steps)
    network = build(base(images), images.mean, images.std, seed)
    count = lambda: sum(p.numel() for p in network.parameters())  # noqa: E731
    full, found = count(), {}
    epochs = steps / (len(SIZES) + 1) * search.batch / len(images.train)
    config = TrainConfig(epochs=epochs, batch=search.batch, lr=search.lr, weight_decay=search.weight_decay)
    for part, size in enumerate(SIZES):
        train_network(network, images, config, seed + part, progress)
        pruner = torch_pruning.pruner.BasePruner(
            network, torch.rand(2, images.channels, images.size, images.size), global_pruning=True,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2), pruning_ratio=0.99, max_pruning_ratio=0.95,
            iterative_steps=200, ignored_layers=[network.block(network.names[-1])],
        )  # fmt: skip
        while count() > size * full:
            pruner.step()
        found[size] = copy.deepcopy(network)
    return found


def _trained_plain(network, images, seed: int) -> dict:
    """As `_trained`, for a network that has no list of layers."""
    import torch

    from explorer.evaluators.shared_weights import accuracy
    from explorer.supernets import recalibrate, train_network
    from explorer.supernets.plain import initialise

    start = time.perf_counter()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        initialise(network)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_parameters()
    recalibrate(train_network(network, images, _schedule(), seed), images, 2000)
    return {
        "params": sum(p.numel() for p in network.parameters()), "masked": 0, "val": f"{accuracy(network, images.val):.4f}",
        "test": f"{accuracy(network, images.test):.4f}", "seconds": f"{time.perf_counter() - start:.0f}",
    }  # fmt: skip


def _schedule():
    from explorer.supernets import TrainConfig

    return TrainConfig(epochs=EPOCHS, batch=64, lr=0.1, label_smoothing=0.1)


def _trained(snapshot, images, seed: int) -> dict:
    from explorer.evaluators.shared_weights import accuracy
    from explorer.pruning import finish

    start = time.perf_counter()
    done = finish(snapshot, images, _schedule(), seed, fresh=True)
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

    from explorer.data.datasets import load_dataset
    from explorer.pruning import PruneSearch, stage_ends
    from explorer.study.prune import FamilyConfig

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
