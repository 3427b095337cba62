"""Networks that are a chain of layers, each fed by the one before it: the mobile and the unified family."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from explorer.core.architecture import Architecture, as_codes, choices_of
from explorer.core.layer import Layer, Part
from explorer.core.protocols import SearchSpace


class ChainSpace(SearchSpace, Protocol):
    """A space whose networks are a chain of parts."""

    def parts(self) -> list[Part]:
        """Return the parts of a network, in order."""


def chain_layers(space: ChainSpace, architecture: Architecture | np.ndarray | Sequence[int]) -> tuple[Layer, ...]:
    """Return the layers of all parts of a space with `parts()`, in order, each connected to the one before it.

    Raises:
        InputError: not an architecture of the space.
    """
    row = as_codes(space, [choices_of(architecture)])[0]
    chain: list[Layer] = []
    for part in space.parts():
        for layer in part.layers(tuple(int(row[gene]) for gene in part.genes)):
            chain.append(replace(layer, inputs=(chain[-1].name,) if chain else ()))
    return tuple(chain)
