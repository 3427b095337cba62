"""Benchmarks of scoring single networks, with inherited and with random weights; growth with the images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from explorer.bench.timing import in_turns, slope
from explorer.study import open_study


def _images(n: int) -> Any:
    """Fashion-mnist padded to 32 pixels, with the first `n` training images and all others."""
    import torch.nn.functional as F

    from explorer.bench import Skipped
    from explorer.core.errors import InputError
    from explorer.data.datasets import Split, load_dataset

    try:
        small = load_dataset("fashion-mnist").subset(n)
    except InputError as reason:
        raise Skipped(str(reason)) from reason
    train, val, test = (
        Split(F.pad(small.split(name).images, (2, 2, 2, 2)), small.split(name).labels)
        for name in ("train", "val", "test")
    )
    return replace(small, train=train, val=val, test=test)


def scoring(quick: bool) -> dict[str, dict[str, float]]:
    """Time to score a network of the fashion-mnist study, relative to a plain pass of the same images through it."""
    from explorer.bench import Skipped
    from explorer.core.errors import InputError
    from explorer.evaluators import SharedWeights
    from explorer.evaluators.shared_weights import accuracy

    study = open_study("fashion-mnist")
    try:
        images = study.images
    except InputError as reason:
        raise Skipped(str(reason)) from reason
    rows = study.space.sample(1 if quick else 3, np.random.default_rng(0))
    sizes = [500, 1000, 2000] if quick else [1000, 2000, 4000]
    judges = {n: SharedWeights(study.supernet, images, limit=n, calibration=n) for n in sizes}
    plain = [judges[sizes[0]].network(row) for row in rows]
    data = images.val.take(slice(0, sizes[-1]))
    runs: dict[str, Any] = {f"{n} images": lambda j=judge: j.evaluate(rows) for n, judge in judges.items()}
    runs["passes"] = lambda: [accuracy(network, data) for network in plain]
    seconds = in_turns(runs, 2 if quick else 5)
    last = seconds[f"{sizes[-1]} images"]
    return {
        # images pass twice (calibration, then accuracy): without folded batch norm this would be 2.0
        "ratios": {"calibrated score over one pass of its images": last / seconds["passes"]},
        "slopes": {"with images": slope(sizes, [seconds[f"{n} images"] for n in sizes])},
        "times": {f"seconds a network, {name}": s / len(rows) for name, s in seconds.items()},
    }


def random_weights(quick: bool) -> dict[str, dict[str, float]]:
    """Time of random-weight scores at full size (32 pixels, one seed), by processes, by space and by images."""
    from explorer.evaluators import RandomWeights
    from explorer.spaces import SPACES

    images = _images(1000 if quick else 4000)
    sizes = [250, 500, 1000] if quick else [500, 1000, 2000]
    networks = 4 if quick else 8
    space = SPACES["mobile-32"].for_images(1, 10, 32)
    cells = SPACES["nasbench201"].for_images(1, 10, 32)
    codes = space.sample(networks, np.random.default_rng(0))
    by_images = {n: RandomWeights(space, images, seeds=1, train_images=n, val_images=n) for n in sizes}
    in_two = RandomWeights(space, images, seeds=1, train_images=sizes[-1], val_images=sizes[-1], jobs=2)
    of_cells = RandomWeights(cells, images, seeds=1, train_images=sizes[-1], val_images=sizes[-1])
    of_cells_codes = cells.sample(2, np.random.default_rng(0))
    runs: dict[str, Any] = {f"{n} images": lambda j=judge: j.scores(codes) for n, judge in by_images.items()}
    runs["two processes"] = lambda: in_two.scores(codes)
    runs["nasbench201"] = lambda: of_cells.scores(of_cells_codes)
    seconds = in_turns(runs, 1 if quick else 2)
    last = seconds[f"{sizes[-1]} images"]
    times = {f"seconds a network, {name}": s / networks for name, s in seconds.items() if name != "nasbench201"}
    return {
        "ratios": {
            "two processes over one": seconds["two processes"] / last,
            "nasbench201 over mobile-32, a network": seconds["nasbench201"] / 2 / (last / networks),
        },
        "slopes": {"with images": slope(sizes, [seconds[f"{n} images"] for n in sizes])},
        "times": times | {"seconds a network, nasbench201": seconds["nasbench201"] / 2},
    }
