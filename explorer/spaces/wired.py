"""Base class of spaces of two freely wired cells, a normal and a reduction cell (which halves the size), both repeated.

Liu et al. 2019 ("DARTS"): every node of a cell sums two edges. An edge is an input (one of the two previous cells, or
an earlier node) and an operation. Subclasses choose the operations, the number of nodes, which nodes are joined to the
output of the cell, and how edges are written as genes.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from explorer.core.architecture import as_codes, choices_of
from explorer.core.layer import Layer, Part
from explorer.core.operators import Add, AvgPool, Concat, Conv, Factorized, GlobalPool, Linear, MaxPool, Norm, Strips
from explorer.spaces.base import Choices
from explorer.spaces.cells import Cells

CELLS, EDGES = ("normal", "reduce"), 2
STEM = 3  # width of the stem, as a multiple of the space's width
Edge = tuple[int, str]  # the input, and the operation


@dataclass(frozen=True)
class WiredCells(Cells):
    """Networks of normal and reduction cells; every reduction doubles the width.

    Attributes:
        width: channels of a node in the first cells.
        depth: total number of cells; those at one third and at two thirds of the depth are reduction cells.
        operations: operations of an edge: "skip", or a kind and a kernel size, such as "sep_3", "dil_5" or "avg_3".
        nodes: number of nodes of a cell; as inputs they are numbered from 2, after the two previous cells.
        loose: whether only nodes that no other node reads are joined to the output of the cell, or all nodes.
        plain: whether norms inside cells have no trained scale and shift, and stand behind pools as well.
    """

    depth: int = 8
    least_depth: ClassVar[int] = 3
    operations: ClassVar[tuple[str, ...]] = ()
    nodes: ClassVar[int] = 4
    loose: ClassVar[bool] = False
    plain: ClassVar[bool] = False

    @abstractmethod
    def genes(self, cell: int, node: int, edge: int) -> tuple[int, ...]:
        """Return the positions of the genes that decide an edge of the normal (0) or the reduction cell (1)."""

    @abstractmethod
    def edge(self, node: int, edge: int, choices: Sequence[int]) -> Edge:
        """Return an edge of a node from the option indices of its genes; nodes are counted from 0."""

    def cells(self, row: Sequence[int]) -> tuple[_Cell, _Cell]:
        """Return the normal and the reduction cell of canonical choices."""
        found = []
        for cell in range(len(CELLS)):
            genes = [[self.genes(cell, node, e) for e in range(EDGES)] for node in range(self.nodes)]
            edges = [[self.edge(n, e, [row[g] for g in of[e]]) for e in range(EDGES)] for n, of in enumerate(genes)]
            read = {source for node in edges for source, _ in node} if self.loose else set()
            found.append(_Cell(edges, [n for n in range(2, 2 + self.nodes) if n not in read]))
        return found[0], found[1]

    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """Return the operators that run, in order."""
        cells = self.cells(self.canonical(as_codes(self, [choices_of(architecture)]))[0].tolist())
        places = list(self.places([len(cell.joined) for cell in cells]))
        chain, before, last = [self.stem], "stem", "stem"
        for place in places:
            name, cell = place.name, cells[place.reduces]
            chain += place.preprocess(before, last)
            values = [f"{name}.in0", f"{name}.in1"]
            for node, edges in enumerate(cell.edges, 2):
                arriving = []
                for letter, (source, operation) in zip("ab", edges):
                    made = list(place.operation(operation, source, f"{name}.{node}{letter}", values[source]))
                    chain += made
                    arriving.append(made[-1].name if made else values[source])
                values.append(f"{name}.{node}")
                chain.append(replace(place.add, name=values[-1], inputs=tuple(arriving)))
            chain.append(replace(place.concat, name=f"{name}.out", inputs=tuple(values[n] for n in cell.joined)))
            before, last = last, f"{name}.out"
        return (*chain, *self.head(places[-1], last))

    @property
    def stem(self) -> Layer:
        """The first convolution."""
        return Conv(self.channels, STEM * self.width, self.resolution, 3, name="stem")

    def head(self, last: _Place, source: str = "") -> tuple[Layer, Layer]:
        """Return global pooling and the classifier behind the last cell."""
        wide, size = last.concat.cout, last.size_out
        pool = GlobalPool(wide, wide, size, name="pool", inputs=(source,))
        return pool, Linear(wide, self.classes, 1, name="classifier", inputs=("pool",))

    def places(self, joins: Sequence[int]) -> Iterator[_Place]:
        """Yield the position of every cell, from the image to the classifier.

        Args:
            joins: number of nodes that are joined to the output of a normal cell, and of a reduction cell.
        """
        width, size, stage = self.width, self.resolution, 1
        before = last = (STEM * self.width, self.resolution)
        for i in range(self.depth):
            reduces = i in (self.depth // 3, 2 * self.depth // 3)
            if reduces:
                width, stage = 2 * width, stage + 1
            name = f"stage{stage}.{i + 1}"
            place = _Place(name, width, size, reduces, before, last, joins[reduces], self.plain)
            yield place
            size = place.size_out
            before, last = last, (place.concat.cout, size)


def parts_of(space: WiredCells) -> list[Part]:
    """Return the parts of networks whose cells join all their nodes, each dependent on a few genes; for costs."""
    places = list(space.places([space.nodes] * len(CELLS)))
    parts = [Part((), lambda _: (space.stem,)), Part((), lambda _: space.head(places[-1]))]
    for place in places:

        def always(choices: tuple[int, ...], place: _Place = place) -> tuple[Layer, ...]:
            return (*place.preprocess("", ""), *[place.add] * space.nodes, place.concat)

        parts.append(Part((), always))
        for node in range(space.nodes):
            for edge in range(EDGES):

                def one(
                    choices: tuple[int, ...], place: _Place = place, node: int = node, edge: int = edge
                ) -> tuple[Layer, ...]:
                    source, operation = space.edge(node, edge, choices)
                    return tuple(place.operation(operation, source, "", ""))

                parts.append(Part(space.genes(place.reduces, node, edge), one))
    return parts


@dataclass(frozen=True)
class _Cell:
    """The edges of every node, and the numbers of the nodes that are joined to the output."""

    edges: list[list[Edge]]
    joined: list[int]


@dataclass(frozen=True)
class _Place:
    """A cell at its position in a network: name, shape, and (channels, size) of the two outputs that it reads."""

    name: str
    width: int
    size: int
    reduces: bool
    before: tuple[int, int]
    last: tuple[int, int]
    joins: int
    plain: bool

    @property
    def size_out(self) -> int:
        return (self.size - 1) // 2 + 1 if self.reduces else self.size

    @property
    def add(self) -> Layer:
        return Add(self.width, self.width, self.size_out, joins=EDGES)

    @property
    def concat(self) -> Layer:
        return Concat(self.joins * self.width, self.joins * self.width, self.size_out, joins=self.joins)

    def preprocess(self, before: str, last: str) -> tuple[Layer, Layer]:
        """Return the layers that bring both inputs to the cell's width and size (the older may be twice as large)."""
        (cin, older), (wide, size) = self.before, self.last
        op, stride = (Factorized, 2) if older != size else (Conv, 1)
        first = op(cin, self.width, older, 1, stride, before="relu", name=f"{self.name}.in0", inputs=(before,))
        second = Conv(wide, self.width, size, 1, before="relu", name=f"{self.name}.in1", inputs=(last,))
        return first, second

    def operation(self, operation: str, source: int, name: str, inputs: str) -> Iterator[Layer]:
        """Yield the layers of one edge; none for a skip connection that passes its input on."""
        kind, _, kernel = operation.partition("_")
        stride = 2 if self.reduces and source < 2 else 1
        size, affine = self.size if source < 2 else self.size_out, not self.plain
        c, k = self.width, int(kernel or 1)
        if kind == "skip":
            if stride == 2:
                yield Factorized(c, c, size, 1, 2, before="relu", affine=affine, name=name, inputs=(inputs,))
        elif kind in ("avg", "max"):
            pool = (AvgPool if kind == "avg" else MaxPool)(c, c, size, k, stride, name=name, inputs=(inputs,))
            yield replace(pool, name=f"{name}.pool") if self.plain else pool
            if self.plain:
                yield Norm(c, c, pool.size_out, affine=affine, name=name, inputs=(f"{name}.pool",))
        elif kind == "strips":
            yield Strips(c, c, size, k, stride, before="relu", name=name, inputs=(inputs,))
        else:
            steps = [(stride, size), (1, (size - 1) // stride + 1)] if kind == "sep" else [(stride, size)]
            for i, (step, pixels) in enumerate(steps):
                wide = Conv(c, c, pixels, k, step, bn=False, groups=c, dilation=1 if kind == "sep" else 2,
                            before="relu", name=f"{name}.dw{i}", inputs=(inputs,))  # fmt: skip
                yield wide
                inputs = f"{name}.pw{i}"
                yield Conv(c, c, wide.size_out, 1, affine=affine, name=inputs, inputs=(wide.name,))
