"""Compile a cost once per space; after that, pricing a population is array arithmetic.

Every part of a space (a slot, the stem, the tail) depends on a few genes; its cost for all combinations of their
options is one small array. The same arrays give the expected cost under option probabilities, with gradients (SGNAS,
Huang and Chu 2021).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core.errors import InputError
from explorer.core.layer import Layer, Part
from explorer.core.protocols import SearchSpace
from explorer.spaces.base import Compilable, resolution_gene

Price = Callable[[Layer, int], float]  # (layer, image size of its network) -> cost
BLOCK = 1 << 14  # rows processed at once, so that their indices stay in the processor's cache


@dataclass(frozen=True)
class CompiledCost:
    """The cost tables of all parts of a space.

    Attributes:
        parts: per part, its genes and an array of costs with one axis per gene; NaN where a layer has no price.
        scale, offset: applied to the sum over the parts.
    """

    parts: tuple[tuple[tuple[int, ...], np.ndarray], ...]
    scale: float = 1.0
    offset: float = 0.0

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Price architectures: (n, d) int8 -> (n,) float64, NaN where a layer has no price."""
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
    """Compile the cost of a space; each distinct layer is priced once.

    Args:
        space: has `parts()` and `decisions`.
        price: function (layer, image size) -> cost.
        scale, offset: applied to the sum over a network's layers.
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
    """Return a function (part, choices) -> image size: the chosen resolution, else the stem's input size."""
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
            try:
                prices[layer, size] = price(layer, size)
            except InputError:  # networks without this layer have a cost
                prices[layer, size] = np.nan
        total += prices[layer, size]
    return total


def price_population(space: SearchSpace, codes: np.ndarray, price: Price, scale: float, offset: float) -> np.ndarray:
    """Price a population of a space without `parts`, layer by layer; each distinct layer is priced once."""
    prices: dict[tuple[Layer, int], float] = {}
    totals = np.zeros(len(codes))
    for row, choices in enumerate(codes):
        layers: Sequence[Layer] = space.layers(choices)
        totals[row] = _total(layers, layers[0].size, price, prices)
    return offset + scale * totals
