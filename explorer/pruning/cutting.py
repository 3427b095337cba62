"""How much is pruned now: the margin below which everything goes, so that a size is met. No torch.

What was learned says what goes first, and how much of each granularity; the size says how far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from explorer.layer import Layer
from explorer.pruning.masks import Masks, remaining

CLOSE = 0.02  # relative distance to the size that is good enough
HALVINGS = 24


class Margins:
    """How far everything that is still there is above its learned threshold.

    Attributes:
        operations: name -> margin.
        filters: layer -> (channels,).
        weights: layer -> tensor -> its shape.
    """

    def __init__(
        self, operations: dict[str, float], filters: dict[str, np.ndarray], weights: dict[str, dict[str, np.ndarray]]
    ) -> None:
        self.operations, self.filters, self.weights = operations, filters, weights

    def cut(self, masks: Masks, nodes: dict[str, str], at: float, spared: frozenset[str] = frozenset()) -> Masks:
        """Masks without what is at most `at` above its threshold (0 is what was learned).

        Guards: a sum keeps the strongest of its operations, a layer its strongest filter, a convolution its largest
        weight.

        Args:
            masks: so far; nothing that is off comes back.
            nodes: operation -> the sum that it feeds, "" for one that nothing depends on.
            at: a margin.
            spared: operations that stay in any case.
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


def _above(margin: np.ndarray, at: float) -> np.ndarray:
    keep = margin > at
    if not keep.any():
        keep.flat[margin.argmax()] = True
    return keep


def cut_to(
    size: float, margins: Margins, masks: Masks, nodes: dict[str, str], layers_of: Callable[[Masks], Sequence[Layer]]
) -> tuple[Masks, float]:
    """The masks whose remaining parameters are nearest to a size, and the margin at which they were cut.

    Where one operation is a large step, it is spared and smaller things go instead.

    Args:
        size: parameters.
        margins, masks, nodes: see `Margins.cut`.
        layers_of: masks -> the layers that count.
    """
    best: tuple[float, Masks, float] | None = None
    spared: frozenset[str] = frozenset()
    for _ in range(8):
        low, high = -1.0, 4.0
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
    """Parameters of what the guards keep in any case."""
    cut = margins.cut(masks, nodes, np.inf)
    return remaining(layers_of(cut), cut)
