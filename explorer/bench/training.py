"""Benchmarks of supernet training: against static networks, and against slices with the framework's own operations.

The baseline of `images/s` is the usual way to write a supernet: slices of the weights, `F.conv2d` and `F.batch_norm`,
channels_last. It trains random subnets of a small supernet of plain MBConv blocks on 32x32 images (`REFERENCE`). Each
implementation ("form") runs in a process of its own, since ours also changes the memory allocator; the processes are
timed alternately.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from explorer.bench.timing import in_turns, slope
from explorer.spaces.mobile import MobileSpace

BATCH, SUBNETS = 128, 16
REFERENCE = MobileSpace(
    "reference", stem=16, widths=(24, 40, 64), strides=(1, 2, 2), se=(False, False, False),
    acts=("relu", "relu", "relu"), depths=(1, 2, 3), kernels=(3, 5, 7), expands=(2, 3, 4), resolutions=(32,),
    final=192, mix=0, channels=1, classes=10,
)  # fmt: skip
WORKER = "from explorer.bench.training import worker, {0}; worker({0})"
STARTS = 5  # processes started for every form
# form -> value of EXPLORER_FAST in its process
FORMS = {
    "ours": "1", "plain": "0", "our depthwise": "depthwise", "our norms": "normact", "our allocator": "memory",
}  # fmt: skip


def training(quick: bool) -> dict[str, dict[str, float]]:
    """Images per second by form; time of a supernet step relative to static networks; growth of a step with size."""
    turns = 3 if quick else 9
    forms = tuple(FORMS)[: 2 if quick else None]
    seconds = _forms(forms, 3, 1 if quick else STARTS)
    photographs = _forms(("ours", "plain"), 2, 1 if quick else STARTS, "round_of_photographs")
    ratios = {f"ours over {name}": seconds["ours"] / s for name, s in seconds.items() if name != "ours"}
    ratios["ours over plain, photographs of 128 px"] = photographs["ours"] / photographs["plain"]
    times = {f"images/s, {name}": BATCH * SUBNETS / s for name, s in seconds.items()}
    for rule in ("uniform", "sandwich"):
        ratios[f"{rule} step over static networks"] = over_static(rule, 2 if quick else 6, turns)
    slopes, more = _growth(turns)
    return {"ratios": ratios, "slopes": slopes, "times": times | more}


def _forms(forms: tuple[str, ...], turns: int, starts: int, work: str = "round_of_slices") -> dict[str, float]:
    """Median seconds of one round of random subnets, over several processes, since memory layout changes the speed."""
    medians: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(starts):
        for name, seconds in _side_by_side(forms, turns, work).items():
            medians[name].append(float(np.median(seconds)))
    return {name: float(np.median(values)) for name, values in medians.items()}


def _side_by_side(forms: tuple[str, ...], turns: int, work: str) -> dict[str, list[float]]:
    """Seconds of every round, by form; every form runs in its own process, and they are timed alternately."""
    workers = {
        name: subprocess.Popen(
            [sys.executable, "-c", WORKER.format(work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"EXPLORER_FAST": FORMS[name]},
        )
        for name in forms
    }
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    try:
        for turn in range(turns + 1):
            for name, process in workers.items():
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("\n")
                process.stdin.flush()
                took = float(process.stdout.readline())
                if turn:  # during the first turn other processes are still starting
                    seconds[name].append(took)
    finally:
        for process in workers.values():
            process.communicate()
    return seconds


def worker(work: Callable[[], Callable[[], None]]) -> None:
    """For every line on stdin, run one round of some work and print its seconds, until stdin closes."""
    import time

    round_ = work()
    round_()
    for _ in sys.stdin:
        start = time.perf_counter()
        round_()
        print(time.perf_counter() - start, flush=True)


def round_of_slices() -> Callable[[], None]:
    """Training steps of random subnets of `REFERENCE`."""
    return _steps_of(REFERENCE, BATCH, SUBNETS)


def round_of_photographs() -> Callable[[], None]:
    """Training steps of random subnets of `lite-w1.0` on photographs."""
    from explorer.spaces import SPACES

    return _steps_of(SPACES["lite-w1.0"].restrict({"r": (128,)}), 32, 4)


def _steps_of(space: Any, batch: int, subnets: int) -> Callable[[], None]:
    import torch
    import torch.nn.functional as F

    from explorer.fast.memory import keep_memory
    from explorer.spaces.base import image_size
    from explorer.supernets import MobileSupernet

    keep_memory()
    channels, size = space.channels, image_size(space)
    made: Any = MobileSupernet(space, [0.3] * channels, [0.3] * channels).train()
    supernet = made.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(supernet.parameters(), 0.01, 0.9, nesterov=True, weight_decay=3e-5)
    x, y = torch.rand(batch, channels, size, size), torch.randint(0, 10, (batch,))
    codes = space.sample(subnets, np.random.default_rng(0))

    def run() -> None:
        for row in codes:
            optimizer.zero_grad()
            F.cross_entropy(supernet(x, row), y).backward()
            optimizer.step()

    return run


def over_static(rule: str, steps: int, turns: int) -> float:
    """Median ratio of the time of a supernet step (its subnets forward and backward) to that of static networks."""
    from explorer.supernets import build
    from explorer.supernets.sampling import RULES

    space, supernet, step = _supernet()
    ratios = []
    for number in range(steps):
        codes = RULES[rule](space, 0, number, 1)
        static = [build(space.layers(row)).train() for row in codes]
        seconds = in_turns({
            "supernet": lambda c=codes: [step(lambda v, r=row: supernet(v, r)) for row in c],
            "static": lambda s=static: [step(network) for network in s],
        }, turns)  # fmt: skip
        ratios.append(seconds["supernet"] / seconds["static"])
    return float(np.median(ratios))


def _supernet(name: str = "mobile-32", batch: int = BATCH, **limits: Any) -> tuple[Any, Any, Callable[[Any], None]]:
    """A space, its supernet, and a function that runs a network forward and backward on one batch."""
    import torch
    import torch.nn.functional as F

    from explorer.fast.memory import keep_memory
    from explorer.spaces import SPACES
    from explorer.supernets import MobileSupernet

    keep_memory()
    space = SPACES[name].restrict(limits).for_images(1, 10, 28)
    x, y = torch.rand(batch, 1, 28, 28), torch.randint(0, 10, (batch,))

    def step(network: Any) -> None:
        F.cross_entropy(network(x), y).backward()

    return space, MobileSupernet(space, [0.3], [0.3]).train(), step


def _growth(turns: int) -> tuple[dict[str, float], dict[str, float]]:
    """Slopes, on logarithmic axes, of a step's seconds over images, layers of the subnet and options of a decision."""
    images = [32, 64, 128]
    runs: dict[str, Callable[[], None]] = {}
    for batch in images:
        space, supernet, step = _supernet(batch=batch)
        row = space.sample(1, np.random.default_rng(3))[0]
        runs[f"{batch} images"] = lambda s=step, n=supernet, r=row: s(lambda v: n(v, r))
    space, supernet, step = _supernet()
    kinds = [record.kind for record in space.records]
    depths = range(len(next(record.options for record in space.records if record.kind == "depth")))
    layers = {}
    for d in depths:
        row = np.array([d if kind == "depth" else 1 for kind in kinds], np.int8)
        layers[f"depth {d}"] = len(space.layers(row))
        runs[f"depth {d}"] = lambda r=row: step(lambda v: supernet(v, r))
    options = {n: _supernet(k=(3, 5, 7)[:n]) for n in (1, 2, 3)}
    for n, (narrow, net, one) in options.items():
        # the same subnet (kernel 3 everywhere) of supernets with one, two and three kernel options
        row = np.array([0 if record.kind == "kernel" else 1 for record in narrow.records], np.int8)
        runs[f"{n} kernels"] = lambda r=row, net=net, one=one: one(lambda v: net(v, r))
    seconds = in_turns(runs, turns)
    slopes = {
        "with images": slope(images, [seconds[f"{n} images"] for n in images]),
        "with layers": slope(list(layers.values()), [seconds[name] for name in layers]),
        "with choices": slope(list(options), [seconds[f"{n} kernels"] for n in options]),
    }
    return slopes, {f"seconds of a step, {name}": s for name, s in seconds.items()}
