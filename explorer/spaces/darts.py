"""The DARTS space: two freely wired cells of four nodes and seven operations.

Liu et al. 2019 ("DARTS"), with the encoding of NSGA-Net (Lu et al. 2019): the two edges of a node are chosen one by
one, so both may read the same input. The order of a node's two edges does not matter; they ascend in canonical form.
NSGA-Net's own space differs in its operations, in its five nodes, and in that only nodes which no other node reads are
joined to the output of a cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from explorer.core.architecture import Architecture, as_codes
from explorer.core.layer import Part
from explorer.spaces.base import Decision
from explorer.spaces.darts_notation import edges_of
from explorer.spaces.wired import CELLS, EDGES, Edge, WiredCells, parts_of


@dataclass(frozen=True)
class PairsOfEdges(WiredCells):
    """Cells whose edges have two genes each, an input and an operation."""

    @cached_property
    def decisions(self) -> dict[str, tuple[int | str, ...]]:
        """`normal.2.input1`, `normal.2.op1`, `normal.2.input2`, ...: input and operation of every edge of every node.

        Inputs 0 and 1 are the two previous cells, the others are nodes.
        """
        found: dict[str, tuple[int | str, ...]] = {}
        for cell in CELLS:
            for node in range(2, 2 + self.nodes):
                for edge in range(1, 1 + EDGES):
                    found[f"{cell}.{node}.input{edge}"] = tuple(range(node))
                    found[f"{cell}.{node}.op{edge}"] = self.operations
        return found

    @property
    def records(self) -> tuple[Decision, ...]:
        """One input and one operation per edge; their place is (cell, node)."""
        found = []
        for name, options in self.decisions.items():
            cell, node, what = name.split(".")
            kind = "input" if what.startswith("input") else "operation"
            found.append(Decision(name, kind, tuple(options), (1 + CELLS.index(cell), int(node)), int(what[-1])))
        return tuple(found)

    @property
    def size(self) -> int:
        """Exact number of canonical architectures: unordered pairs of edges, per node."""
        edges = [node * len(self.operations) for node in range(2, 2 + self.nodes)]
        return int(np.prod([n * (n + 1) // 2 for n in edges], dtype=object) ** len(CELLS))

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Sort the two edges of every node, (n, d) int8; idempotent."""
        edges = as_codes(self, codes).reshape(-1, len(CELLS) * self.nodes, EDGES, 2)
        swap = np.lexsort((edges[..., 1], edges[..., 0]), axis=-1)
        return np.take_along_axis(edges, swap[..., None], axis=2).reshape(len(edges), -1)

    def genes(self, cell: int, node: int, edge: int) -> tuple[int, ...]:
        """See `WiredCells.genes`."""
        first = 2 * (EDGES * (self.nodes * cell + node) + edge)
        return first, first + 1

    def edge(self, node: int, edge: int, choices: Sequence[int]) -> Edge:
        """See `WiredCells.edge`."""
        return choices[0], self.operations[choices[1]]


@dataclass(frozen=True)
class DartsSpace(PairsOfEdges):
    """Liu et al. 2019 ("DARTS"): all four nodes are joined to the output of a cell."""

    operations: ClassVar[tuple[str, ...]] = ("skip", "sep_3", "sep_5", "dil_3", "dil_5", "avg_3", "max_3")

    def parts(self) -> list[Part]:
        """Return the parts of a network, each dependent on a few genes; costs are compiled from them."""
        return parts_of(self)

    def from_string(self, text: str) -> Architecture:
        """Parse the notation of DARTS, NASLib or NAS-Bench-301, see `darts_notation`.

        Raises:
            InputError: the text has none of these forms, or an edge that the space does not have.
        """
        choices = [(source, self.operations.index(operation)) for source, operation in edges_of(text)]
        return Architecture(self, [gene for edge in choices for gene in edge])


@dataclass(frozen=True)
class NsganetSpace(PairsOfEdges):
    """Lu et al. 2019 ("NSGA-Net", micro space): only nodes that no other node reads are joined to a cell's output.

    How many are joined depends on all inputs, so costs are not compiled from parts.
    """

    operations: ClassVar[tuple[str, ...]] = (
        "max_3", "avg_3", "skip", "sep_3", "sep_5", "dil_3", "dil_5", "sep_7", "strips_7",
    )  # fmt: skip
    nodes: ClassVar[int] = 5
    loose: ClassVar[bool] = True
