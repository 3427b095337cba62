"""Choice of what is pruned now: one factor on all learned thresholds, so that a target size is met. No torch.

Thresholds decide what is removed, and in what proportion operations, filters and weights are. If they ask for less than
the target size requires, all of them are raised by one factor; if they ask for more, all are lowered by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core.layer import Layer
from explorer.pruning.masks import Masks, remaining

CLOSE = 0.02  # relative distance to the target size that is good enough
HALVINGS = 30  # steps of the bisection
LEAST, MOST = 1e-4, 1e6  # factors that remove nothing, and everything
FLOOR = 1e-3  # a threshold that was learned to be lower counts as this, so that a factor can raise it


@dataclass(frozen=True)
class Learned:
    """The values of everything that is not pruned yet, each with the learned threshold that it is compared with.

    Attributes:
        operations: operation name -> its strength in (0, 1), and its threshold.
        filters: layer name -> strengths (channels,), -inf where pruned, and the threshold.
        weights: layer name -> tensor name -> magnitudes in the tensor's shape, -inf where pruned, and the threshold.
    """

    operations: dict[str, tuple[float, float]]
    filters: dict[str, tuple[np.ndarray, float]]
    weights: dict[str, dict[str, tuple[np.ndarray, float]]]

    def cut(self, masks: Masks, nodes: dict[str, str], factor: float, spared: frozenset[str] = frozenset()) -> Masks:
        """Return masks that also remove everything that is not above its threshold, times a factor.

        Some things are always kept (the guards): the strongest operation of every sum, the strongest filter of every
        layer and the largest weight of every convolution.

        Args:
            masks: current masks; what they remove stays removed.
            nodes: operation -> the sum that it feeds, "" for a block that its shortcut can replace.
            factor: 1 removes what was learned to be removed.
            spared: operations that are kept in any case.
        """
        own = {name: self.operations.get(name, (np.inf, 0.0)) for name in masks.operations}
        stay = {
            name for name, (value, at) in own.items()
            if name in spared or name not in self.operations or value > factor * raised(at)
        }  # fmt: skip
        by_node: dict[str, list[str]] = {}
        for name in sorted(masks.operations):
            by_node.setdefault(nodes[name], []).append(name)
        for node, members in by_node.items():
            if node and not stay.intersection(members):
                stay.add(max(members, key=lambda name: own[name][0]))
        filters, weights = dict(masks.filters), dict(masks.weights)
        for name, (values, at) in self.filters.items():
            filters[name] = _above(values, factor * raised(at))
        for name, tensors in self.weights.items():
            weights[name] = {key: _above(values, factor * raised(at)) for key, (values, at) in tensors.items()}
        return Masks(stay, filters, weights)


def raised(threshold: float) -> float:
    """Return the threshold that a factor is applied to."""
    return max(threshold, FLOOR)


def _above(values: np.ndarray, at: float) -> np.ndarray:
    keep = values > at
    if not keep.any():
        keep.flat[values.argmax()] = True
    return keep


def cut_to(
    size: float, learned: Learned, masks: Masks, nodes: dict[str, str], layers_of: Callable[[Masks], Sequence[Layer]]
) -> tuple[Masks, float]:
    """Find the masks whose number of remaining parameters is nearest to a target size.

    If removing one operation overshoots the target, that operation is spared and smaller parts are removed instead.

    Args:
        size: target number of parameters.
        learned, masks, nodes: see `Learned.cut`.
        layers_of: masks -> the layers that run and are counted.

    Returns:
        The masks, and the factor on all thresholds: above 1, more is removed than was learned to be removed.
    """
    best: tuple[float, Masks, float] | None = None
    spared: frozenset[str] = frozenset()
    for _ in range(8):
        low, high = np.log(LEAST), np.log(MOST)
        ends: dict[float, Masks] = {}
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            cut = learned.cut(masks, nodes, float(np.exp(middle)), spared)
            count = remaining(layers_of(cut), cut)
            ends[middle] = cut
            off = abs(count / size - 1)
            if best is None or off < best[0]:
                best = (off, cut, float(np.exp(middle)))
            if off < CLOSE / 10:
                break
            low, high = (middle, high) if count > size else (low, middle)
        if best is None or best[0] <= CLOSE or low not in ends or high not in ends:
            break
        step = ends[low].operations - ends[high].operations
        if not step:
            break
        spared |= step
    assert best is not None
    return best[1], best[2]


def smallest(
    learned: Learned, masks: Masks, nodes: dict[str, str], layers_of: Callable[[Masks], Sequence[Layer]]
) -> int:
    """Return the number of parameters that are left when only what the guards keep is left."""
    cut = learned.cut(masks, nodes, np.inf)
    return remaining(layers_of(cut), cut)
