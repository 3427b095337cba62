"""Choice of what is pruned now: the margin up to which everything is removed, so that a target size is met. No torch.

What is below its learned threshold is removed first. If the target size requires more, the same share of the remaining
operations, filters and weights is removed, the weakest of each first: their margins have different scales, so they are
not compared across granularities.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import numpy as np

from explorer.core.layer import Layer
from explorer.pruning.masks import Masks, remaining

K = TypeVar("K", bound=Hashable)
CLOSE = 0.02  # relative distance to the target size that is good enough
HALVINGS = 24  # steps of the bisection


class Margins:
    """How far everything that is not pruned yet is above its learned threshold (its margin).

    Attributes:
        operations: operation name -> margin.
        filters: layer name -> margins (channels,).
        weights: layer name -> tensor name -> margins, in the tensor's shape.
    """

    def __init__(
        self, operations: dict[str, float], filters: dict[str, np.ndarray], weights: dict[str, dict[str, np.ndarray]]
    ) -> None:
        self.operations, self.filters, self.weights = operations, filters, weights

    def ranked(self) -> Margins:
        """Return a copy in which every margin above 0 is replaced by its rank within its granularity, in (0, 1]."""
        operations = _ranks(np.array(list(self.operations.values()), float))
        filters = _ranks_of(self.filters)
        flat = {(layer, key): margin for layer, own in self.weights.items() for key, margin in own.items()}
        weights: dict[str, dict[str, np.ndarray]] = {layer: {} for layer in self.weights}
        for (layer, key), ranks in _ranks_of(flat).items():
            weights[layer][key] = ranks
        return Margins(dict(zip(self.operations, operations.tolist())), filters, weights)

    def cut(self, masks: Masks, nodes: dict[str, str], at: float, spared: frozenset[str] = frozenset()) -> Masks:
        """Return masks that also remove everything with a margin of at most `at`.

        Some things are always kept (the guards): the strongest operation of every sum, the strongest filter of every
        layer and the largest weight of every convolution.

        Args:
            masks: current masks; what they remove stays removed.
            nodes: operation -> the sum that it feeds, "" for a block that its shortcut can replace.
            at: the margin; 0 removes what was learned to be removed.
            spared: operations that are kept in any case.
        """
        own = {name: self.operations.get(name, np.inf) for name in masks.operations}
        stay = {name for name, margin in own.items() if margin > at or name in spared}
        by_node: dict[str, list[str]] = {}
        for name in sorted(masks.operations):
            by_node.setdefault(nodes[name], []).append(name)
        for node, members in by_node.items():
            if node and not stay.intersection(members):
                stay.add(max(members, key=lambda name: own[name]))
        filters, weights = dict(masks.filters), dict(masks.weights)
        for name, margin in self.filters.items():
            filters[name] = _above(margin, at)
        for name, tensors in self.weights.items():
            weights[name] = {key: _above(margin, at) for key, margin in tensors.items()}
        return Masks(stay, filters, weights)


def _ranks(margin: np.ndarray) -> np.ndarray:
    found, above = margin.astype(float), margin > 0
    found[above] = (np.argsort(np.argsort(margin[above], kind="stable"), kind="stable") + 1) / max(1, above.sum())
    return found


def _ranks_of(margins: dict[K, np.ndarray]) -> dict[K, np.ndarray]:
    """Rank the values of all arrays together."""
    if not margins:
        return {}
    ranks = _ranks(np.concatenate([margin.ravel() for margin in margins.values()]))
    parts = np.split(ranks, np.cumsum([margin.size for margin in margins.values()])[:-1])
    return {key: part.reshape(margin.shape) for (key, margin), part in zip(margins.items(), parts)}


def _above(margin: np.ndarray, at: float) -> np.ndarray:
    keep = margin > at
    if not keep.any():
        keep.flat[margin.argmax()] = True
    return keep


def cut_to(
    size: float, margins: Margins, masks: Masks, nodes: dict[str, str], layers_of: Callable[[Masks], Sequence[Layer]]
) -> tuple[Masks, float]:
    """Find the masks whose number of remaining parameters is nearest to a target size.

    If removing one operation overshoots the target, that operation is spared and smaller parts are removed instead.

    Args:
        size: target number of parameters.
        margins, masks, nodes: see `Margins.cut`.
        layers_of: masks -> the layers that run and are counted.

    Returns:
        The masks, and the value at which the margins were cut: up to 0, only what was learned to be removed is removed;
        above 0, also that share of the rest.
    """
    margins = margins.ranked()
    best: tuple[float, Masks, float] | None = None
    spared: frozenset[str] = frozenset()
    for _ in range(8):
        low, high = -1.0, 1.0  # ranks are at most 1
        ends: dict[float, Masks] = {}
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            cut = margins.cut(masks, nodes, middle, spared)
            count = remaining(layers_of(cut), cut)
            ends[middle] = cut
            off = abs(count / size - 1)
            if best is None or off < best[0]:
                best = (off, cut, middle)
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
    margins: Margins, masks: Masks, nodes: dict[str, str], layers_of: Callable[[Masks], Sequence[Layer]]
) -> int:
    """Return the number of parameters that are left when only what the guards keep is left."""
    cut = margins.cut(masks, nodes, np.inf)
    return remaining(layers_of(cut), cut)
