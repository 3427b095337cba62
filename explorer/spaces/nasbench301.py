"""The space of NAS-Bench-301: DARTS' two cells, with the rules of that benchmark.

Siems et al. 2020 ("NAS-Bench-301"), as NAS-Bench-Suite-Zero counts and scores its networks: the two inputs of a node
differ, a norm stands behind every pool, norms inside the cells have no trained scale and shift, and a network has six
normal and two reduction cells, of which the first are 32 channels wide. Parameters are equal to the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import ClassVar

import numpy as np

from explorer.core.architecture import Architecture, as_codes
from explorer.core.errors import InputError
from explorer.core.layer import Part
from explorer.spaces.base import Decision
from explorer.spaces.darts import DartsSpace
from explorer.spaces.darts_notation import edges_of
from explorer.spaces.wired import CELLS, EDGES, Edge, WiredCells, parts_of

PER_NODE = 1 + EDGES  # genes of a node: the pair of inputs, and the operation of each


@dataclass(frozen=True)
class NasBench301Space(WiredCells):
    """Cells whose nodes have three genes each: a pair of different inputs, and the operation of either."""

    width: int = 32
    operations: ClassVar[tuple[str, ...]] = DartsSpace.operations
    plain: ClassVar[bool] = True

    @cached_property
    def decisions(self) -> dict[str, tuple[str, ...]]:
        """`normal.2.inputs`, `normal.2.op1`, `normal.2.op2`, ...: a node's inputs, ascending, and their operations.

        Inputs 0 and 1 are the two previous cells, 2 to 5 are nodes.
        """
        found: dict[str, tuple[str, ...]] = {}
        for cell in CELLS:
            for node in range(self.nodes):
                found[f"{cell}.{node + 2}.inputs"] = tuple(f"{a},{b}" for a, b in _pairs(node))
                for edge in range(1, 1 + EDGES):
                    found[f"{cell}.{node + 2}.op{edge}"] = self.operations
        return found

    @property
    def records(self) -> tuple[Decision, ...]:
        """A pair of inputs and two operations per node; their place is (cell, node)."""
        found = []
        for name, options in self.decisions.items():
            cell, node, what = name.split(".")
            kind, part = ("input", 0) if what == "inputs" else ("operation", int(what[-1]))
            found.append(Decision(name, kind, options, (1 + CELLS.index(cell), int(node)), part))
        return tuple(found)

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Return (n, 24) int8 codes as they are: edges ascend by their inputs, so no two codes list the same edges."""
        return as_codes(self, codes)

    def genes(self, cell: int, node: int, edge: int) -> tuple[int, ...]:
        """See `WiredCells.genes`."""
        first = PER_NODE * (self.nodes * cell + node)
        return first, first + 1 + edge

    def edge(self, node: int, edge: int, choices: Sequence[int]) -> Edge:
        """See `WiredCells.edge`."""
        return _pairs(node)[choices[0]][edge], self.operations[choices[1]]

    def parts(self) -> list[Part]:
        """Return the parts of a network, each dependent on a few genes; costs are compiled from them."""
        return parts_of(self)

    def from_string(self, text: str) -> Architecture:
        """Parse "NORMAL|REDUCE", eight edges `input-operation` each, or DARTS' or NASLib's notation of the same.

        The numbers of the operations are NASLib's, see `darts_notation`.

        Raises:
            InputError: the text has none of these forms, an edge that the space does not have, or a node whose edges
                read the same input.
        """
        edges, choices = edges_of(text), []
        for i in range(0, len(edges), EDGES):
            node = i // EDGES % self.nodes
            pair = sorted((source, self.operations.index(operation)) for source, operation in edges[i : i + EDGES])
            if pair[0][0] == pair[1][0]:
                cell = "normal" if i // EDGES < self.nodes else "reduction"
                raise InputError(
                    f"architecture {text[:120]!r}: both edges of node {node + 2} of the {cell} cell read input "
                    f"{pair[0][0]}; in space {self.name!r} the inputs of a node differ"
                )
            choices += [_pairs(node).index((pair[0][0], pair[1][0])), pair[0][1], pair[1][1]]
        return Architecture(self, choices)


def _pairs(node: int) -> list[tuple[int, int]]:
    """Return the pairs of inputs that a node, counted from 0, may read."""
    return [(a, b) for a, b in combinations(range(node + 2), EDGES)]
