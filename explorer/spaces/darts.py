"""The DARTS space: two freely wired cells, a normal and a reduction cell (which halves the size), both repeated.

Liu et al. 2019 ("DARTS"), with the encoding of NSGA-Net (Lu et al. 2019). Each of the four nodes of a cell sums two
edges. An edge is an input (one of the two previous cells, or an earlier node) and one of seven operations. The output
of a cell is the concatenation of its nodes. Both edges of a node may read the same input. The order of a node's two
edges does not matter, so they ascend in canonical form.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from explorer.core.architecture import Architecture, as_codes, choices_of
from explorer.core.layer import Layer, Part
from explorer.core.operators import Add, AvgPool, Concat, Conv, Factorized, GlobalPool, Linear, MaxPool
from explorer.spaces.base import Choices, Decision
from explorer.spaces.cells import Cells
from explorer.spaces.darts_notation import edges_of

OPERATIONS = ("skip", "sep_3", "sep_5", "dil_3", "dil_5", "avg_3", "max_3")
CELLS, NODES, EDGES = ("normal", "reduce"), 4, 2
STEM = 3  # width of the stem, as a multiple of the space's width


@dataclass(frozen=True)
class DartsSpace(Cells):
    """Networks of normal and reduction cells; every reduction doubles the width.

    Attributes:
        width: channels of a node in the first cells.
        depth: total number of cells; those at one third and at two thirds of the depth are reduction cells.
    """

    depth: int = 8
    least_depth: ClassVar[int] = 3

    @cached_property
    def decisions(self) -> dict[str, tuple[int | str, ...]]:
        """`normal.2.input1`, `normal.2.op1`, `normal.2.input2`, ...: input and operation of every edge of every node.

        Inputs 0 and 1 are the two previous cells, 2 to 5 are nodes.
        """
        found: dict[str, tuple[int | str, ...]] = {}
        for cell in CELLS:
            for node in range(2, 2 + NODES):
                for edge in range(1, 1 + EDGES):
                    found[f"{cell}.{node}.input{edge}"] = tuple(range(node))
                    found[f"{cell}.{node}.op{edge}"] = OPERATIONS
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
        edges = [node * len(OPERATIONS) for node in range(2, 2 + NODES)]
        return int(np.prod([n * (n + 1) // 2 for n in edges], dtype=object) ** len(CELLS))

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Sort the two edges of every node, (n, 32) int8; idempotent."""
        edges = as_codes(self, codes).reshape(-1, len(CELLS) * NODES, EDGES, 2)
        swap = np.lexsort((edges[..., 1], edges[..., 0]), axis=-1)
        return np.take_along_axis(edges, swap[..., None], axis=2).reshape(len(edges), -1)

    def from_string(self, text: str) -> Architecture:
        """Parse the notation of DARTS, NASLib or NAS-Bench-301, see `darts_notation`.

        Raises:
            InputError: the text has none of these forms, or an edge that the space does not have.
        """
        choices = [(source, OPERATIONS.index(operation)) for source, operation in edges_of(text)]
        return Architecture(self, [gene for edge in choices for gene in edge])

    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """Return the operators that run, in order."""
        row = self.canonical(as_codes(self, [choices_of(architecture)]))[0].tolist()
        stem, pool, classifier = self._ends()
        chain, before, last = [stem], "stem", "stem"
        for place in self._places():
            chain += place.preprocess(before, last)
            nodes = [f"{place.name}.in0", f"{place.name}.in1"]
            for node in range(NODES):
                ends = []
                for edge, (source, operation) in enumerate(place.edges(row, node)):
                    name = f"{place.name}.{node + 2}{'ab'[edge]}"
                    made = list(place.operation(operation, source, name, nodes[source]))
                    chain += made
                    ends.append(made[-1].name if made else nodes[source])
                nodes.append(f"{place.name}.{node + 2}")
                chain.append(replace(place.add, name=nodes[-1], inputs=tuple(ends)))
            chain.append(replace(place.concat, name=f"{place.name}.out", inputs=tuple(nodes[2:])))
            before, last = last, f"{place.name}.out"
        return (*chain, replace(pool, inputs=(last,)), classifier)

    def parts(self) -> list[Part]:
        """Return the parts of a network, each dependent on a few genes; costs are compiled from them."""
        stem, pool, classifier = self._ends()
        parts = [Part((), lambda _: (stem,)), Part((), lambda _: (pool, classifier))]
        for place in self._places():

            def always(choices: tuple[int, ...], place: _Place = place) -> tuple[Layer, ...]:
                return (*place.preprocess("", ""), *[place.add] * NODES, place.concat)

            parts.append(Part((), always))
            for gene in range(place.offset, place.offset + NODES * EDGES * 2, 2):

                def edge(choices: tuple[int, ...], place: _Place = place) -> tuple[Layer, ...]:
                    return tuple(place.operation(choices[1], choices[0], "", ""))

                parts.append(Part((gene, gene + 1), edge))
        return parts

    def _ends(self) -> tuple[Layer, Layer, Layer]:
        last = list(self._places())[-1]
        wide = NODES * last.width
        return (
            Conv(self.channels, STEM * self.width, self.resolution, 3, name="stem"),
            GlobalPool(wide, wide, last.size_out, name="pool"),
            Linear(wide, self.classes, 1, name="classifier", inputs=("pool",)),
        )

    def _places(self) -> Iterator[_Place]:
        """Yield the position of every cell, from the image to the classifier."""
        width, size, stage = self.width, self.resolution, 1
        before = last = (STEM * self.width, self.resolution)
        for i in range(self.depth):
            reduces = i in (self.depth // 3, 2 * self.depth // 3)
            if reduces:
                width, stage = 2 * width, stage + 1
            place = _Place(f"stage{stage}.{i + 1}", width, size, reduces, before, last)
            yield place
            size = place.size_out
            before, last = last, (NODES * width, size)


@dataclass(frozen=True)
class _Place:
    """A cell at its position in a network: name, shape, and (channels, size) of the two outputs that it reads."""

    name: str
    width: int
    size: int
    reduces: bool
    before: tuple[int, int]
    last: tuple[int, int]

    @property
    def size_out(self) -> int:
        return (self.size - 1) // 2 + 1 if self.reduces else self.size

    @property
    def offset(self) -> int:
        """Index of the cell's first gene."""
        return NODES * EDGES * 2 * self.reduces

    @property
    def add(self) -> Layer:
        return Add(self.width, self.width, self.size_out, joins=EDGES)

    @property
    def concat(self) -> Layer:
        return Concat(NODES * self.width, NODES * self.width, self.size_out, joins=NODES)

    def preprocess(self, before: str, last: str) -> tuple[Layer, Layer]:
        """Return the layers that bring both inputs to the cell's width and size (the older may be twice as large)."""
        (cin, older), (wide, size) = self.before, self.last
        op, stride = (Factorized, 2) if older != size else (Conv, 1)
        first = op(cin, self.width, older, 1, stride, before="relu", name=f"{self.name}.in0", inputs=(before,))
        second = Conv(wide, self.width, size, 1, before="relu", name=f"{self.name}.in1", inputs=(last,))
        return first, second

    def edges(self, row: Sequence[int], node: int) -> list[tuple[int, int]]:
        """Return (input, operation) of each edge of a node."""
        start = self.offset + node * EDGES * 2
        return [(row[start + 2 * edge], row[start + 2 * edge + 1]) for edge in range(EDGES)]

    def operation(self, operation: int, source: int, name: str, inputs: str) -> Iterator[Layer]:
        """Yield the layers of one edge; none for a skip connection that passes its input on."""
        kind, _, kernel = OPERATIONS[operation].partition("_")
        stride = 2 if self.reduces and source < 2 else 1
        size = self.size if source < 2 else self.size_out
        c, k = self.width, int(kernel or 1)
        if kind == "skip":
            if stride == 2:
                yield Factorized(c, c, size, 1, 2, before="relu", name=name, inputs=(inputs,))
            return
        if kind in ("avg", "max"):
            yield (AvgPool if kind == "avg" else MaxPool)(c, c, size, k, stride, name=name, inputs=(inputs,))
            return
        steps = [(stride, size), (1, (size - 1) // stride + 1)] if kind == "sep" else [(stride, size)]
        for i, (step, pixels) in enumerate(steps):
            wide = Conv(c, c, pixels, k, step, bn=False, groups=c, dilation=1 if kind == "sep" else 2,
                         before="relu", name=f"{name}.dw{i}", inputs=(inputs,))  # fmt: skip
            yield wide
            inputs = f"{name}.pw{i}"
            yield Conv(c, c, wide.size_out, 1, name=inputs, inputs=(wide.name,))
