"""A cost compiled once per space: after that, pricing a population is array arithmetic.

Every part of a space (a slot, the stem, the tail) depends on a few genes; its cost over all combinations of their
options is one small array. The same arrays give the expected cost under probabilities, with gradients, to whoever
needs them (SGNAS, Huang and Chu 2021).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core.layer import Layer, Part
from explorer.core.protocols import SearchSpace
from explorer.spaces.base import Compilable, resolution_gene

Price = Callable[[Layer, int], float]  # a layer, and the size of the images of its network -> cost
BLOCK = 1 << 14  # rows at once: their indices stay in the processor's cache


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
        for start in range(0, len(codes), BLOCK):
            genes = np.ascontiguousarray(codes[start : start + BLOCK].T).astype(np.intp)
            sums = total[start : start + BLOCK]
            for chosen, table in self.parts:
                if not chosen:
                    sums += float(table)
                    continue
                row = genes[chosen[0]]
                for gene, options in zip(chosen[1:], table.shape[1:]):
                    row = row * options + genes[gene]
                sums += table.ravel().take(row)
        return self.offset + self.scale * total


def compile_parts(space: Compilable, price: Price, scale: float = 1.0, offset: float = 0.0) -> CompiledCost:
    """Price each distinct layer of a space once.

    Args:
        space: has `parts()` and `decisions`.
        price: cost of one layer.
        scale, offset: applied to a network's sum.
    """
    counts = [len(options) for options in space.decisions.values()]
    parts = space.parts()
    sizes = _image_sizes(space, parts)
    prices: dict[tuple[Layer, int], float] = {}
    compiled = []
    for part in parts:
        shape = tuple(counts[g] for g in part.genes)
        table = np.zeros(shape)
        for choices in np.ndindex(*shape):
            table[choices] = _total(part.layers(choices), sizes(part, choices), price, prices)
        compiled.append((part.genes, table))
    return CompiledCost(tuple(compiled), scale, offset)


def _image_sizes(space: Compilable, parts: Sequence[Part]) -> Callable[[Part, tuple[int, ...]], int]:
    """How to tell a part's image size: from the decision on it, else all networks read one size, that of the stem."""
    gene = resolution_gene(space)
    if gene is not None:
        chosen, sizes = gene, list(space.decisions.values())[gene]
        return lambda part, choices: int(sizes[choices[part.genes.index(chosen)]])
    size = parts[0].layers((0,) * len(parts[0].genes))[0].size
    return lambda part, choices: size


def _total(layers: Sequence[Layer], size: int, price: Price, prices: dict[tuple[Layer, int], float]) -> float:
    total = 0.0
    for layer in layers:
        if (layer, size) not in prices:
            prices[layer, size] = price(layer, size)
        total += prices[layer, size]
    return total


def price_population(space: SearchSpace, codes: np.ndarray, price: Price, scale: float, offset: float) -> np.ndarray:
    """The same for a space without `parts`: layer by layer, each distinct layer priced once."""
    prices: dict[tuple[Layer, int], float] = {}
    totals = np.zeros(len(codes))
    for row, choices in enumerate(codes):
        layers: Sequence[Layer] = space.layers(choices)
        totals[row] = _total(layers, layers[0].size, price, prices)
    return offset + scale * totals
