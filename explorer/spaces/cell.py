"""The NAS-Bench-201 space: one small cell, repeated; four nodes, six edges, five operations per edge.

Dong and Yang 2020 ("NAS-Bench-201"): a stem, then three stages of identical cells; between stages, a residual block
halves the size and doubles the channels. Many cells compute the same function: "none" removes an edge, a skip
connection merges two nodes, nodes can be swapped, and edges that do not reach the output have no effect. The canonical
form is the one of these cells with the least work.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from explorer.core.architecture import Architecture, as_codes, choices_of
from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.operators import Add, AvgPool, Conv, GlobalPool, Linear, Norm, Zero
from explorer.spaces.base import Choices, Decision
from explorer.spaces.cells import Cells

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
NONE, SKIP, CONV_1, CONV_3, POOL = range(5)
EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))  # (to, from) in the order of the benchmark's strings
NODES = 4


@dataclass(frozen=True)
class CellSpace(Cells):
    """Networks of identical cells; every stage is twice as wide as the one before.

    Attributes:
        depth: cells per stage.
        stages: number of stages; each one but the first begins with a residual block of stride 2.
    """

    stages: int = 3

    @cached_property
    def decisions(self) -> dict[str, tuple[str, ...]]:
        """`o1.0`, `o2.0`, `o2.1`, ...: `o2.1` is the operation of the edge to node 2 from node 1."""
        return {f"o{to}.{source}": OPERATIONS for to, source in EDGES}

    @property
    def records(self) -> tuple[Decision, ...]:
        """One operation per edge; its place is (to, from)."""
        return tuple(Decision(f"o{to}.{source}", "operation", OPERATIONS, (to, source)) for to, source in EDGES)

    @property
    def size(self) -> int:
        """Exact number of canonical architectures."""
        return len(np.unique(_representatives()))

    def enumerate(self) -> np.ndarray:
        """(size, 6) int8: every canonical architecture."""
        return _all_cells()[np.unique(_representatives())]

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Map (n, 6) int8 codes to canonical codes, which are the same for equal functions; idempotent."""
        return _all_cells()[_representatives()[_number(as_codes(self, codes))]]

    def from_string(self, text: str) -> Architecture:
        """Parse a cell string of the benchmark, such as "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|...|".

        NASLib's six numbers, such as "(2, 1, 0, 3, 4, 1)", are read too.

        Raises:
            InputError: the text is neither.
        """
        if numbers := NASLIB.fullmatch(text):
            given = [NASLIB_OPERATIONS[int(number)] for number in re.findall(r"\d", numbers[0])]
            return Architecture(self, [OPERATIONS.index(given[NASLIB_EDGES.index(edge)]) for edge in EDGES])
        found = CELL_STRING.fullmatch(text)
        chosen = [] if found is None else [found.group(i + 1) for i in range(len(EDGES))]
        if found is None or not set(chosen) <= set(OPERATIONS):
            example = self.to_string([CONV_3, NONE, SKIP, CONV_1, POOL, NONE], canonical=False)
            raise InputError(
                f"{text[:200]!r} is not a cell of {self.name!r}; expected for example {example!r}, with operations "
                f'{", ".join(OPERATIONS)}, or NASLib\'s six numbers, such as "(2, 1, 0, 3, 4, 1)"'
            )
        return Architecture(self, [OPERATIONS.index(operation) for operation in chosen])

    def to_string(self, architecture: Architecture | Sequence[int], canonical: bool = True) -> str:
        """Return an architecture's string in the benchmark; with `canonical=False`, that of the choices as they are."""
        codes = as_codes(self, [choices_of(architecture)])
        row = (self.canonical(codes) if canonical else codes)[0]
        words = [f"{OPERATIONS[c]}~{source}" for c, (_, source) in zip(row, EDGES)]
        return "+".join(f"|{'|'.join(words[start:end])}|" for start, end in ((0, 1), (1, 3), (3, 6)))

    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """Return the operators that run, in order; edges that do not connect the input to the output are left out."""
        row = self.canonical(as_codes(self, [choices_of(architecture)]))[0]
        return _network(self, tuple(int(c) for c in row))


NASLIB = re.compile(r"[(\[]\s*[0-4](\s*,\s*[0-4]){5}\s*,?\s*[)\]]", re.ASCII)
NASLIB_OPERATIONS = ("skip_connect", "none", "nor_conv_3x3", "nor_conv_1x1", "avg_pool_3x3")
NASLIB_EDGES = ((1, 0), (2, 0), (3, 0), (2, 1), (3, 1), (3, 2))  # (to, from)
CELL_STRING = re.compile(
    r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|", re.ASCII
)  # fmt: skip


@lru_cache(maxsize=1)
def _all_cells() -> np.ndarray:
    """All codes, (15,625, 6) int8; a cell's number is its row index."""
    return np.stack(np.meshgrid(*[np.arange(5)] * 6, indexing="ij"), -1).reshape(-1, 6).astype(np.int8)


def _number(codes: np.ndarray) -> np.ndarray:
    """Return the number of each cell, its row in `_all_cells`: (n, 6) -> (n,)."""
    return np.asarray(codes, np.int64) @ 5 ** np.arange(5, -1, -1)


@lru_cache(maxsize=1)
def _representatives() -> np.ndarray:
    """Return the number of the canonical cell for every code, (15,625,).

    Of the cells with the same function, the canonical one has the fewest convolutions and poolings, then the most
    removed edges, then the lowest number.
    """
    cells = _all_cells()
    order = np.lexsort((np.arange(len(cells)), -(cells == NONE).sum(1), (cells > SKIP).sum(1)))
    functions = [_function(tuple(row)) for row in cells.tolist()]
    chosen: dict[Function, int] = {}
    for number in order.tolist():
        chosen.setdefault(functions[number], number)
    return np.array([chosen[function] for function in functions])


# per value: its operation and the values that it adds up; the output comes last
Function = tuple[tuple[int, tuple[int, ...]], ...]


def _function(row: tuple[int, ...]) -> Function:
    """Return a description of what a cell computes, which is the same for equal functions.

    A node is a multiset of values: the cell's input and the outputs of convolutions and poolings. A skip connection
    passes a node's values on, "none" passes nothing on. Every convolution is a separate value, because it has its own
    weights. The values that reach the output are numbered by what they compute; for values that compute the same, all
    orders are tried.
    """
    values: list[tuple[int, tuple[int, ...]]] = [(SKIP, ())]  # the cell's input
    bags: list[tuple[int, ...]] = [(0,)]
    for to in range(1, NODES):
        bag: list[int] = []
        for operation, (target, source) in zip(row, EDGES):
            if target != to or operation == NONE or not bags[source]:
                continue
            if operation == SKIP:
                bag += bags[source]
                continue
            value = (operation, bags[source])
            if operation == POOL and value in values:
                bag.append(values.index(value))
            else:
                bag.append(len(values))
                values.append(value)
        bags.append(tuple(sorted(bag)))
    live = _live(values, bags[-1])
    words: dict[int, str] = {}
    for i in live:  # ascending, so the inputs of a value come before it
        words[i] = f"{values[i][0]}({'+'.join(sorted(words[j] for j in values[i][1]))})"
    groups = [[i for i in live if words[i] == word] for word in sorted(set(words.values()))]

    def numbered(order: Sequence[int]) -> Function:
        place = {value: n for n, value in enumerate(order)}
        every = [(values[i][0], tuple(sorted(place[j] for j in values[i][1]))) for i in order]
        return (*every, (NONE, tuple(sorted(place[i] for i in bags[-1]))))

    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    return min(numbered([i for group in order for i in group]) for order in orders)


def _live(values: Sequence[tuple[int, tuple[int, ...]]], output: Sequence[int]) -> list[int]:
    """Return the values that the output depends on, ascending."""
    found, left = set(), list(output)
    while left:
        value = left.pop()
        if value not in found:
            found.add(value)
            left += values[value][1]
    return sorted(found)


@lru_cache(maxsize=4096)
def _network(space: CellSpace, row: tuple[int, ...]) -> tuple[Layer, ...]:
    size, width = space.resolution, space.width
    chain: list[Layer] = [Conv(space.channels, width, size, 3, name="stem")]
    for stage in range(space.stages):
        if stage:
            chain += _reduction(f"stage{stage + 1}.0", chain[-1].name, width, size)
            width, size = 2 * width, (size - 1) // 2 + 1
        for cell in range(space.depth):
            chain += _cell(row, f"stage{stage + 1}.{cell + 1}", chain[-1].name, width, size)
    chain.append(Norm(width, width, size, act="relu", name="final", inputs=(chain[-1].name,)))
    chain.append(GlobalPool(width, width, size, name="pool", inputs=("final",)))
    chain.append(Linear(width, space.classes, 1, name="classifier", inputs=("pool",)))
    return tuple(chain)


def _cell(row: tuple[int, ...], name: str, source: str, width: int, size: int) -> Iterator[Layer]:
    """Yield the layers of one cell. Every node sums its inputs, in order; the last node is the cell's output."""
    wanted, outputs = _reaching(row), {0: source}
    for to in range(1, NODES):
        if to not in wanted and to != NODES - 1:
            continue
        arriving = []
        for operation, (target, origin) in zip(row, EDGES):
            if target != to or operation == NONE or origin not in outputs:
                continue
            layer = _operation(operation, f"{name}.{to}{origin}", outputs[origin], width, size)
            if layer is not None:
                yield layer
            arriving.append(outputs[origin] if layer is None else layer.name)
        if len(arriving) > 1:
            node = f"{name}.{to}"
            yield Add(width, width, size, joins=len(arriving), name=node, inputs=tuple(arriving))
            outputs[to] = node
        elif arriving:
            outputs[to] = arriving[0]
    if NODES - 1 not in outputs:
        yield Zero(width, width, size, name=f"{name}.3", inputs=(source,))


def _reaching(row: tuple[int, ...]) -> set[int]:
    """Return the nodes from which the output can be reached."""
    wanted = {NODES - 1}
    for operation, (target, origin) in reversed(list(zip(row, EDGES))):
        if operation != NONE and target in wanted:
            wanted.add(origin)
    return wanted


def _operation(operation: int, name: str, source: str, width: int, size: int) -> Layer | None:
    """Return the layer of one edge; None for a skip connection, which passes its input on."""
    if operation == SKIP:
        return None
    if operation == POOL:
        return AvgPool(width, width, size, 3, name=name, inputs=(source,))
    kernel = {CONV_1: 1, CONV_3: 3}[operation]
    return Conv(width, width, size, kernel, before="relu", name=name, inputs=(source,))


def _reduction(name: str, source: str, width: int, size: int) -> list[Layer]:
    """The residual block between stages: twice the channels, half the size (He et al. 2016)."""
    half = (size - 1) // 2 + 1
    return [
        Conv(width, 2 * width, size, 3, 2, before="relu", name=f"{name}.a", inputs=(source,)),
        Conv(2 * width, 2 * width, half, 3, before="relu", name=f"{name}.b", inputs=(f"{name}.a",)),
        AvgPool(width, width, size, 2, 2, name=f"{name}.half", inputs=(source,)),
        Conv(width, 2 * width, half, 1, bn=False, name=f"{name}.wide", inputs=(f"{name}.half",)),
        Add(2 * width, 2 * width, half, joins=2, name=f"{name}.out", inputs=(f"{name}.b", f"{name}.wide")),
    ]
