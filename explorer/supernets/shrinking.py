"""Progressive shrinking: the largest network first, then ever more of its subnets, taught by it (Cai et al. 2020).

Once-for-all's order: the largest network alone; kernels; then depths and then expansions, one more option a phase. The
phases differ in the options that may be drawn, in subnets per step, learning rate and length. Before a phase that
narrows expansions, the middle channels of every block are sorted, so that the first ones are those that matter.
Everything is a function of the step, so a run resumes inside any phase.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.operators import MBConv
from explorer.core.protocols import SearchSpace
from explorer.spaces.base import records_of
from explorer.spaces.operators import option_counts
from explorer.supernets.elastic import ElasticMBConv
from explorer.supernets.supernet import Supernet

SHRUNK = ("kernel", "depth", "expand")  # kinds of decisions that shrink, in once-for-all's order


@dataclass(frozen=True)
class Phase:
    """A stretch of the training.

    Attributes:
        name: for progress and errors.
        low: (d,) first option that may be drawn, per decision.
        subnets: per step.
        share: of all epochs.
        lr: relative to the first phase.
        sort: channels are sorted before it.
    """

    name: str
    low: tuple[int, ...]
    subnets: int
    share: float
    lr: float
    sort: bool = False


def phases_of(space: SearchSpace) -> list[Phase]:
    """Once-for-all's phases for a space of depths, kernels, expansions and resolutions.

    Epochs 180, 125, 25, 125, 25, 125 and learning rates 2.6, .96, .08, .24, .08, .24 (for 2048 images a step) are kept
    as ratios; a decision with more or fewer options has more or fewer of the short phases. Image sizes vary throughout.
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
    below = dict.fromkeys(SHRUNK, 0)  # options below the last one that may be drawn
    phases = []
    for name, opened, subnets, epochs, lr in steps:
        below |= opened
        low = tuple(max(0, int(c) - 1 - below.get(k, int(c) - 1)) for c, k in zip(counts, kinds))
        phases.append(Phase(name, low, subnets, epochs / total, lr, "expand" in opened))
    return phases


def phase_at(phases: Sequence[Phase], step: int, total: int) -> tuple[Phase, int, int]:
    """The phase of a step, its first step, and the step behind its last."""
    ends = np.round(np.cumsum([phase.share for phase in phases]) * total).astype(int)
    i = min(int(np.searchsorted(ends, step, side="right")), len(phases) - 1)
    return phases[i], int(ends[i - 1]) if i else 0, int(ends[i])


class Shrinking(nn.Module):
    """A supernet with its teacher, the largest network as the first phase left it.

    Both are in one module, so that a checkpoint holds both.
    """

    def __init__(self, supernet: Supernet, teacher: Supernet) -> None:
        super().__init__()
        self.supernet, self.teacher = supernet, teacher.requires_grad_(False)
        self.phases = phases_of(supernet.space)

    def begin(self, phase: Phase) -> None:
        """What happens once, before the first step of a phase."""
        if phase is self.phases[1]:
            self.teacher.load_state_dict(self.supernet.state_dict())
        if phase.sort:
            before = self.phases[self.phases.index(phase) - 1]
            sort_channels(self.supernet, supported_widths(self.supernet, before.low))

    def codes(self, phase: Phase, rng: np.random.Generator) -> np.ndarray:
        """(subnets, d) int8: uniform over the phase's options."""
        counts = option_counts(self.supernet.space)
        drawn = rng.integers(phase.low, counts, (phase.subnets, len(counts)))
        return self.supernet.space.canonical(drawn.astype(np.int8))

    def losses(self, x: Tensor, y: Tensor, phase: Phase, rng: np.random.Generator, smoothing: float) -> Any:
        """Yields one loss per subnet of the step: labels, and with a teacher its classes too, at weight 1.

        The teacher is in training mode, so its norms use the batch, as once-for-all's does.
        """
        if phase is self.phases[0]:
            row = (option_counts(self.supernet.space) - 1).astype(np.int8)
            yield F.cross_entropy(self.supernet(x, row), y, label_smoothing=smoothing)
            return
        with torch.no_grad():
            target = self.teacher(x, (option_counts(self.supernet.space) - 1).astype(np.int8)).softmax(1)
        for row in self.codes(phase, rng):
            logits = self.supernet(x, row)
            yield F.cross_entropy(logits, y, label_smoothing=smoothing) + F.cross_entropy(logits, target)


def supported_widths(supernet: Supernet, low: Sequence[int]) -> dict[str, list[int]]:
    """Block -> the numbers of middle channels, ascending, that a phase with these first options could draw."""
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
    """Order the middle channels of every block by the L1 norm of what the projection reads from them.

    Channels of a width that subnets already use stay among the first so many, so no trained subnet changes.
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
