"""Progressive shrinking: train the largest network, then more and more subnets with it as teacher (Cai et al. 2020).

The order is once-for-all's: the largest network alone; all kernel sizes; then depths and then expansion ratios, with
one more option in every phase. Phases differ in the options that can be sampled, the subnets per step, the learning
rate and the length. The resolution is drawn anew for every step, in all phases; its subnets and the teacher share it.
Before a phase that adds a smaller expansion ratio, the middle channels of every block are sorted by importance, since
narrow subnets use the first ones. Everything is a function of the step, so training can resume within any phase.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.operators import MBConv
from explorer.core.protocols import SearchSpace
from explorer.spaces.base import records_of, resolution_gene
from explorer.spaces.operators import option_counts
from explorer.supernets.elastic import ElasticMBConv
from explorer.supernets.supernet import Supernet

SHRUNK = ("kernel", "depth", "expand")  # the kinds of decisions that are shrunk, in once-for-all's order


@dataclass(frozen=True)
class Phase:
    """One phase of progressive shrinking.

    Attributes:
        name: label of the phase, such as "depth 1".
        low: (d,) index of the first option of every decision that can be sampled; larger options can be as well.
        subnets: subnets per step.
        share: share of all epochs.
        lr: learning rate relative to the first phase.
        sort: whether the middle channels are sorted before the phase.
    """

    name: str
    low: tuple[int, ...]
    subnets: int
    share: float
    lr: float
    sort: bool = False


def phases_of(space: SearchSpace) -> list[Phase]:
    """Return once-for-all's phases for a space of depths, kernels, expansions and resolutions.

    Once-for-all's epochs (180, 125, 25, 125, 25, 125) and learning rates (2.6, .96, .08, .24, .08, .24, for batches of
    2048 images) are kept as ratios; a decision with more or fewer options has more or fewer of the short phases. All
    resolutions can be sampled in every phase.
    """
    kinds, counts = [record.kind for record in records_of(space)], option_counts(space)
    narrower = {kind: max([int(c) - 1 for c, k in zip(counts, kinds) if k == kind], default=0) for kind in SHRUNK}
    steps: list[tuple[str, dict[str, int], int, int, float]] = [("largest", {}, 1, 180, 1.0)]
    if narrower["kernel"]:
        steps.append(("kernel", {"kernel": narrower["kernel"]}, 1, 125, 0.37))
    for kind, word, subnets in (("depth", "depth", 2), ("expand", "expansion", 4)):
        for more in range(1, narrower[kind] + 1):
            last = more == narrower[kind]
            steps.append((f"{word} {more}", {kind: more}, subnets, *((125, 0.09) if last else (25, 0.03))))
    total = sum(epochs for *_, epochs, _ in steps)
    below = dict.fromkeys(SHRUNK, 0)  # kind of decision -> number of options below the last that can be sampled
    phases = []
    for name, opened, subnets, epochs, lr in steps:
        below |= opened
        low = tuple(max(0, int(c) - 1 - below.get(k, int(c) - 1)) for c, k in zip(counts, kinds))
        phases.append(Phase(name, low, subnets, epochs / total, lr, "expand" in opened))
    return phases


def phase_at(phases: Sequence[Phase], step: int, total: int) -> tuple[Phase, int, int]:
    """Return the phase that a step belongs to, the phase's first step, and the first step after it."""
    ends = np.round(np.cumsum([phase.share for phase in phases]) * total).astype(int)
    i = min(int(np.searchsorted(ends, step, side="right")), len(phases) - 1)
    return phases[i], int(ends[i - 1]) if i else 0, int(ends[i])


class Shrinking(nn.Module):
    """A supernet with its teacher, the largest network with its weights at the end of the first phase.

    Both are in one module, so that a checkpoint contains both.
    """

    def __init__(self, supernet: Supernet, teacher: Supernet) -> None:
        super().__init__()
        self.supernet, self.teacher = supernet, teacher.requires_grad_(False)
        self.phases = phases_of(supernet.space)
        gene = resolution_gene(supernet.space)
        self.sizes = [] if gene is None else [gene]

    def begin(self, phase: Phase) -> None:
        """Prepare a phase, once before its first step: copy the weights to the teacher, or sort channels, if due."""
        if phase is self.phases[1]:
            self.teacher.load_state_dict(self.supernet.state_dict())
        if phase.sort:
            before = self.phases[self.phases.index(phase) - 1]
            sort_channels(self.supernet, supported_widths(self.supernet, before.low))

    def codes(self, phase: Phase, rng: np.random.Generator) -> np.ndarray:
        """Sample subnets (subnets, d) int8, uniformly over the options of the phase, all of one resolution."""
        counts = option_counts(self.supernet.space)
        drawn = rng.integers(phase.low, counts, (phase.subnets, len(counts)))
        drawn[:, self.sizes] = drawn[:1, self.sizes]
        return self.supernet.space.canonical(drawn.astype(np.int8))

    def largest(self, like: np.ndarray) -> np.ndarray:
        """Return the largest network at the resolution of another one, (d,) int8."""
        row = (option_counts(self.supernet.space) - 1).astype(np.int8)
        row[self.sizes] = like[self.sizes]
        return row

    def losses(
        self,
        x: Tensor,
        y: Tensor,
        phase: Phase,
        rng: np.random.Generator,
        with_labels: Callable[[Tensor, Tensor], Tensor],
    ) -> Any:
        """Yield one loss per subnet of the step.

        The loss is the cross-entropy with the labels; after the first phase, that with the teacher's class
        probabilities is added, at weight 1. The teacher is in training mode, so its norms use the batch's statistics,
        as in once-for-all.
        """
        rows = self.codes(phase, rng)
        if phase is self.phases[0]:
            yield with_labels(self.supernet(x, self.largest(rows[0])), y)
            return
        with torch.no_grad():
            target = self.teacher(x, self.largest(rows[0])).softmax(1)
        for row in rows:
            logits = self.supernet(x, row)
            yield with_labels(logits, y) + F.cross_entropy(logits, target)


def supported_widths(supernet: Supernet, low: Sequence[int]) -> dict[str, list[int]]:
    """Return block name -> numbers of middle channels, ascending, that a phase with first options `low` can sample."""
    counts = option_counts(supernet.space)
    widths: dict[str, set[int]] = {}
    for option in range(int(counts.max())):
        row = np.clip(option, low, counts - 1)
        for gene, record in enumerate(records_of(supernet.space)):
            if record.kind == "depth":
                row[gene] = counts[gene] - 1
        for layer in supernet.layers(row):
            if isinstance(layer, MBConv):
                widths.setdefault(layer.name, set()).add(layer.mid)
    return {name: sorted(found) for name, found in widths.items()}


@torch.no_grad()
def sort_channels(supernet: Supernet, widths: Mapping[str, Sequence[int]]) -> None:
    """Sort the middle channels of every block by the L1 norm of the projection's weights for them, largest first.

    Args:
        supernet: sorted in place.
        widths: block name -> widths that trained subnets already use, ascending. Channels are sorted only between two
            such widths: each width keeps its set of channels, so the outputs of these subnets do not change.
    """
    for name, supported in widths.items():
        block = supernet.block(name)
        if not isinstance(block, ElasticMBConv) or block.expand is None:
            continue
        norm = block.project.weight.abs().sum((0, 2, 3))
        edges = [0, *supported]
        order = torch.cat([
            a + torch.argsort(norm[a:b], descending=True, stable=True) for a, b in itertools.pairwise(edges)
        ])  # fmt: skip
        block.permute_middle(order)
