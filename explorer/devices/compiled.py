"""A cost compiled once per space: after that, pricing a population is array arithmetic.

Every part of a space (a slot, the stem, the tail) depends on a few genes; its cost over all combinations of their
options is one small array. The same arrays give the expected cost under probabilities, with gradients, to whoever
needs them (SGNAS, Huang and Chu 2021).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from explorer.layer import Layer, Part

Price = Callable[[Layer], float]


@dataclass(frozen=True)
class CompiledCost:
    """The cost of every part of a space.

    Attributes:
        parts: (genes, array of shape (options of each gene...)) per part.
        scale, offset: of the sum over parts.
    """

    parts: tuple[tuple[tuple[int, ...], np.ndarray], ...]
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n,) float64."""
        total = np.zeros(len(codes))
        for genes, table in self.parts:
            total += table[tuple(codes[:, g] for g in genes)] if genes else float(table)
        return self.offset + self.scale * total


def compile_parts(space: Any, price: Price, scale: float = 1.0, offset: float = 0.0) -> CompiledCost:
    """Price each distinct layer of a space once.

    Args:
        space: has `parts()` and `decisions`.
        price: cost of one layer.
        scale, offset: applied to a network's sum.
    """
    counts = [len(options) for options in space.decisions.values()]
    prices: dict[Layer, float] = {}
    compiled = []
    for part in space.parts():
        shape = tuple(counts[g] for g in part.genes)
        table = np.zeros(shape)
        for choices in np.ndindex(*shape):
            table[choices] = _total(part, choices, price, prices)
        compiled.append((part.genes, table))
    return CompiledCost(tuple(compiled), scale, offset)


def _total(part: Part, choices: tuple[int, ...], price: Price, prices: dict[Layer, float]) -> float:
    total = 0.0
    for layer in part.layers(choices):
        if layer not in prices:
            prices[layer] = price(layer)
        total += prices[layer]
    return total


def price_population(space: Any, codes: np.ndarray, price: Price, scale: float, offset: float) -> np.ndarray:
    """The same for a space without `parts`: layer by layer, each distinct layer priced once."""
    prices: dict[Layer, float] = {}
    totals = np.zeros(len(codes))
    for row, choices in enumerate(codes):
        layers: Sequence[Layer] = space.layers(choices)
        for layer in layers:
            if layer not in prices:
                prices[layer] = price(layer)
            totals[row] += prices[layer]
    return offset + scale * totals
