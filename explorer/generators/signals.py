"""The training signals of SGNAS's generator: expected costs, and an accuracy judge of soft networks (needs torch).

A soft network has a probability for every option. The judge is either a supernet that runs a mixture of all options, or
a small network fitted to an evaluator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices import LayerDevice
from explorer.devices.population import prices
from explorer.spaces.base import Compilable
from explorer.spaces.operators import option_counts

# (D,) or (n, D) probabilities of all options in gene order, step -> a loss that is lower for more accurate options
Signal = Callable[[Tensor, int], Tensor]


class ExpectedCost:
    """The expected cost of a soft network on a device, differentiable in the probabilities.

    It is exact if the device's cost is a sum over compiled parts. For any other device it is approximated by one weight
    per option (least squares on 4,000 networks).
    """

    def __init__(self, space: SearchSpace, device: Device) -> None:
        self.counts = option_counts(space).tolist()
        if isinstance(device, LayerDevice) and device.additive and isinstance(space, Compilable):
            compiled = device.compiled(space)
            self.scale, self.offset = compiled.scale, compiled.offset
            self.parts = [(genes, torch.from_numpy(_filled(table)).float()) for genes, table in compiled.parts]
            return
        rng = np.random.default_rng(0)
        raw = rng.integers(0, self.counts, (4000, len(self.counts))).astype(np.int8)
        bits = np.concatenate([np.eye(c)[raw[:, g]] for g, c in enumerate(self.counts)], 1)
        costs = prices(space, device, space.canonical(raw))
        known = ~np.isnan(costs)
        weights = np.linalg.lstsq(bits[known], costs[known], rcond=None)[0]
        tables = np.split(weights, np.cumsum(self.counts)[:-1])
        self.scale, self.offset = 1.0, 0.0
        self.parts = [((g,), torch.from_numpy(table).float()) for g, table in enumerate(tables)]

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """Compute (n,) expected costs from one (n, options) tensor of probabilities per decision."""
        n = len(probabilities[0])
        total = torch.zeros(n)
        for genes, table in self.parts:
            value = table.expand(n, *table.shape)
            for gene in reversed(genes):  # contract the last decision first
                p = probabilities[gene]
                value = (value * p.view(n, *([1] * (value.ndim - 2)), -1)).sum(-1)
            total = total + value
        return self.offset + self.scale * total


def _filled(table: np.ndarray) -> np.ndarray:
    """Replace missing prices by ten times the largest one, so that gradients lead away from them."""
    return np.asarray(np.nan_to_num(table, nan=10 * float(np.nanmax(table, initial=0.0))))


class SupernetSignal:
    """Cross-entropy of a soft network on held-out training images; the supernet's weights stay frozen.

    Sub-blocks are in the order that the space's canonical form gives them, so that a network is judged with the weights
    that it will have. Batch norm uses the statistics of the images at hand. Those of the training, which the paper
    uses, are shared by all networks and rank them worse: Kendall's tau of the loss and the accuracy of 60 networks of
    `fashion-mnist-unified` is 0.61 instead of 0.81 (`tests.benchmarks.judges`).

    Args:
        supernet: a supernet of the unified family.
        images, labels: uint8 (n, c, h, w) and (n,), which the supernet was not trained on.
        batch: images on which a network is judged.
        seed: random seed of the image order.
    """

    def __init__(self, supernet: Any, images: Tensor, labels: Tensor, batch: int, seed: int) -> None:
        self.supernet = supernet.train().requires_grad_(False)
        self.images, self.labels, self.batch, self.seed = images, labels, batch, seed
        counts = option_counts(supernet.space)
        self.shape = (len(supernet.space.widths), supernet.space.subblocks, int(counts.max()))
        first = counts.reshape(self.shape[:2]) < counts.max()
        self.empty = torch.from_numpy(first)

    def __call__(self, probabilities: Tensor, step: int) -> Tensor:
        """Compute the loss of (D,) probabilities on batch number `step` of the images, shuffled in every pass."""
        per_epoch = max(1, len(self.images) // self.batch)
        order = np.random.default_rng((self.seed, 31, step // per_epoch)).permutation(len(self.images))
        rows = order[(step % per_epoch) * self.batch :][: self.batch]
        parts, at = [], 0
        for empty in self.empty.flatten().tolist():  # a sub-block that cannot be skipped has one option fewer
            width = self.shape[2] - empty
            parts.append(F.pad(probabilities[at : at + width], (int(empty), 0)))
            at += width
        blocks = torch.stack(parts).view(self.shape)
        canonical = blocks.detach().argmax(2).sort(dim=1, descending=True, stable=True).indices
        blocks = blocks.gather(1, canonical[:, :, None].expand(self.shape))
        logits = self.supernet.soft(self.images[rows].float() / 255, blocks)
        return F.cross_entropy(logits, self.labels[rows], label_smoothing=0.1)


class FittedSignal:
    """A differentiable approximation of an evaluator: a small network fitted to its accuracies.

    The loss is in standard deviations of the accuracy. The network reads all options, including those of inactive
    genes, which it learns to ignore.
    """

    def __init__(self, space: SearchSpace, evaluator: Evaluator, seed: int, networks: int = 20_000) -> None:
        counts, rng = option_counts(space), np.random.default_rng((seed, 33))
        last = np.broadcast_to(counts - 1, (networks, len(counts)))
        share = rng.random((networks, 1)) * (rng.random((networks, 1)) < 0.5)
        raw = np.where(rng.random((networks, 1)) < 0.5, rng.integers(0, counts, last.shape), rng.binomial(last, share))
        accuracy = np.asarray(evaluator.evaluate(space.canonical(raw.astype(np.int8))))
        x = torch.from_numpy(np.concatenate([np.eye(c, dtype=np.float32)[raw[:, g]] for g, c in enumerate(counts)], 1))
        y = torch.from_numpy(((accuracy - accuracy.mean()) / max(accuracy.std(), 1e-9)).astype(np.float32))
        net = nn.Sequential(nn.Linear(x.shape[1], 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 1))
        steps = 1500
        optimizer = torch.optim.Adam(net.parameters(), 3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            rows = torch.from_numpy(rng.integers(0, networks, 256))
            loss = F.mse_loss(net(x[rows])[:, 0], y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.net = net.requires_grad_(False)

    def __call__(self, probabilities: Tensor, step: int) -> Tensor:
        """Compute the negative mean standardised accuracy of (n, D) probabilities."""
        return -self.net(probabilities).mean()
