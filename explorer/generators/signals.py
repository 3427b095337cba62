"""What SGNAS's generator learns from: expected costs, and a judge of soft networks (needs torch).

A judge is a supernet that runs a mixture of all choices, or a small network fitted to an evaluator.
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
from explorer.spaces.base import Compilable
from explorer.spaces.operators import option_counts

# (D,) probabilities of all options in gene order, step -> a loss whose gradient says which options are accurate
Signal = Callable[[Tensor, int], Tensor]


class ExpectedCost:
    """A device's cost under probabilities, with gradients: exact where the cost is a sum over compiled parts.

    A device that is no such sum is fitted by one weight per option (least squares on 4,000 networks), for gradients.
    """

    def __init__(self, space: SearchSpace, device: Device) -> None:
        self.counts = option_counts(space).tolist()
        if isinstance(device, LayerDevice) and device.additive and isinstance(space, Compilable):
            compiled = device.compiled(space)
            self.scale, self.offset = compiled.scale, compiled.offset
            self.parts = [(genes, torch.from_numpy(table).float()) for genes, table in compiled.parts]
            return
        rng = np.random.default_rng(0)
        raw = rng.integers(0, self.counts, (4000, len(self.counts))).astype(np.int8)
        bits = np.concatenate([np.eye(c)[raw[:, g]] for g, c in enumerate(self.counts)], 1)
        weights = np.linalg.lstsq(bits, device.cost(space, space.canonical(raw)), rcond=None)[0]
        tables = np.split(weights, np.cumsum(self.counts)[:-1])
        self.scale, self.offset = 1.0, 0.0
        self.parts = [((g,), torch.from_numpy(table).float()) for g, table in enumerate(tables)]

    def __call__(self, probabilities: Sequence[Tensor]) -> Tensor:
        """One (n, options) tensor per decision -> (n,)."""
        n = len(probabilities[0])
        total = torch.zeros(n)
        for genes, table in self.parts:
            value = table.expand(n, *table.shape)
            for gene in reversed(genes):  # contract the last decision first
                p = probabilities[gene]
                value = (value * p.view(n, *([1] * (value.ndim - 2)), -1)).sum(-1)
            total = total + value
        return self.offset + self.scale * total


class SupernetSignal:
    """Cross-entropy of a soft network on held-out training images; the supernet's weights stay as they are.

    Args:
        supernet: of the unified family; norms use the batch.
        images, labels: uint8 (n, c, h, w) and (n,), not trained on.
        batch: images per step.
        seed: of the order.
    """

    def __init__(self, supernet: Any, images: Tensor, labels: Tensor, batch: int, seed: int) -> None:
        self.supernet = supernet.train().requires_grad_(False)
        self.images, self.labels, self.batch, self.seed = images, labels, batch, seed
        counts = option_counts(supernet.space)
        self.shape = (len(supernet.space.widths), supernet.space.subblocks, int(counts.max()))
        first = counts.reshape(self.shape[:2]) < counts.max()
        self.empty = torch.from_numpy(first)

    def __call__(self, probabilities: Tensor, step: int) -> Tensor:
        """(D,) -> the loss on the step's images."""
        per_epoch = max(1, len(self.images) // self.batch)
        order = np.random.default_rng((self.seed, 31, step // per_epoch)).permutation(len(self.images))
        rows = order[(step % per_epoch) * self.batch :][: self.batch]
        parts, at = [], 0
        for empty in self.empty.flatten().tolist():  # a sub-block that is never skipped has one option less
            width = self.shape[2] - empty
            parts.append(F.pad(probabilities[at : at + width], (int(empty), 0)))
            at += width
        logits = self.supernet.soft(self.images[rows].float() / 255, torch.stack(parts).view(self.shape))
        return F.cross_entropy(logits, self.labels[rows], label_smoothing=0.1)


class FittedSignal:
    """What an evaluator says, as a small network fitted to it: a loss in standard deviations of accuracy.

    It reads raw options, so what does not matter is noise that it learns to pass over.
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
        """(n, D) -> minus the mean standardised accuracy."""
        return -self.net(probabilities).mean()
