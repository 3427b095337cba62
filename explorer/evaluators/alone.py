"""Accuracy of networks that are trained from scratch, each alone: what every other evaluator is judged by (torch)."""

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
    """An evaluator without shared weights.

    Every network is trained on one thread, so that it comes out the same wherever that happens; use `jobs` for more.

    Args:
        space: any.
        images: trained on `train`, measured on `val`.
        config: of every training; its sampling rule is not used.
        seed: of weights and batches.
        jobs: processes; None takes what `joblib.parallel_config` says (a Dask cluster, say), else one.
        progress: reports networks.
    """

    def __init__(
        self, space: SearchSpace, images: Images, config: TrainConfig | None = None, seed: int = 0,
        jobs: int | None = None, progress: Progress = silent,
    ) -> None:  # fmt: skip
        self.space = configured(space, images.channels, len(images.classes), images.size)
        self.images, self.config, self.seed = images, config or TrainConfig(), seed
        self.jobs, self.progress = jobs, progress

    def evaluate(self, codes: np.ndarray | Sequence) -> np.ndarray:
        """(n, d) int8 -> (n,) validation accuracy in [0, 1]; what is the same network is trained once."""
        networks = [tuple(self.space.layers(row)) for row in self.space.canonical(as_codes(self.space, codes))]
        todo = list(dict.fromkeys(networks))
        work = map_in_workers(trained_alone, todo, self.images, self.config, self.seed, jobs=self.jobs)
        found = dict(zip(todo, self.progress(work, len(todo), "training alone")))
        return np.array([found[layers] for layers in networks])


def trained_alone(layers: Sequence[Layer], images: Images, config: TrainConfig, seed: int) -> float:
    """Validation accuracy of one network."""
    with one_thread():
        network = build(layers, images.mean, images.std, seed)
        return accuracy(train_network(network, images, config, seed), images.val)
