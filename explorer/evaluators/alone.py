"""Evaluator that trains every network from scratch: the reference for all other evaluators (needs torch)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.architecture import as_codes
from explorer.core.layer import Layer
from explorer.core.parallel import map_in_workers
from explorer.core.protocols import Progress, SearchSpace, silent
from explorer.data.datasets import Images
from explorer.evaluators.shared_weights import accuracy
from explorer.fast.threads import one_thread
from explorer.spaces.base import configured
from explorer.supernets import TrainConfig, build, train_network


class TrainedAlone:
    """An evaluator that trains every network from scratch, without shared weights.

    Every network is trained on one thread, so that the result is the same in any process; set `jobs` to train several
    networks at once.

    Args:
        space: any search space.
        images: networks are trained on `images.train` and evaluated on `images.val`.
        config: training settings of every network; the sampling rule is ignored.
        seed: seed of initial weights and batches.
        jobs: number of processes; None uses the setting of `joblib.parallel_config` (such as a Dask cluster), or one
            process without it.
        progress: reports trained networks.
    """

    def __init__(
        self, space: SearchSpace, images: Images, config: TrainConfig | None = None, seed: int = 0,
        jobs: int | None = None, progress: Progress = silent,
    ) -> None:  # fmt: skip
        self.space = configured(space, images.channels, len(images.classes), images.size)
        self.images, self.config, self.seed = images, config or TrainConfig(), seed
        self.jobs, self.progress = jobs, progress

    def evaluate(self, codes: np.ndarray | Sequence) -> np.ndarray:
        """(n, d) int8 -> (n,) validation accuracy in [0, 1]; identical networks are trained only once."""
        networks = [tuple(self.space.layers(row)) for row in self.space.canonical(as_codes(self.space, codes))]
        todo = list(dict.fromkeys(networks))
        work = map_in_workers(trained_alone, todo, self.images, self.config, self.seed, jobs=self.jobs)
        found = dict(zip(todo, self.progress(work, len(todo), "training alone")))
        return np.array([found[layers] for layers in networks])


def trained_alone(layers: Sequence[Layer], images: Images, config: TrainConfig, seed: int) -> float:
    """Train one network from scratch and return its validation accuracy in [0, 1]."""
    with one_thread():
        network = build(layers, images.mean, images.std, seed)
        return accuracy(train_network(network, images, config, seed), images.val)
