"""Notations of DARTS cells in other projects: DARTS' Genotype, NASLib's tuples, edges as in NAS-Bench-301's tables.

All of them list two edges for each of the nodes 2 to 5, first of the normal, then of the reduction cell. Texts are read
as plain data; nothing in them is run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from explorer.core.errors import InputError

OPERATIONS = {
    "skip_connect": "skip", "sep_conv_3x3": "sep_3", "sep_conv_5x5": "sep_5", "dil_conv_3x3": "dil_3",
    "dil_conv_5x5": "dil_5", "avg_pool_3x3": "avg_3", "max_pool_3x3": "max_3",
}  # fmt: skip
NUMBERED = (  # the numbers of the operations in NASLib and NAS-Bench-301
    "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "sep_conv_5x5", "dil_conv_3x3", "dil_conv_5x5",
)  # fmt: skip
NODES = (2, 3, 4, 5)
FORMS = (
    "DARTS' \"Genotype(normal=[('sep_conv_3x3', 1), ('skip_connect', 0), ...], normal_concat=range(2, 6), "
    'reduce=[...], reduce_concat=range(2, 6))"',
    'NASLib\'s "(((0, 3), (1, 2), ...), ((0, 0), ...))"',
    'NAS-Bench-301\'s edges "0-3 1-2 ...|0-0 1-0 ..."',
)

Edge = tuple[int, str]  # the input, and the operation's name in this package


def edges_of(text: str) -> list[Edge]:
    """Return the 16 edges of an architecture string, normal cell first, two for each node.

    Raises:
        InputError: the text has none of the `FORMS`, or an edge that the space does not have.
    """
    cells = _genotype(text) if "Genotype" in text else _tuples(text) if text[:1] in ("(", "[") else _table(text)
    if cells is None:
        raise InputError(f"architecture {text[:120]!r} is not in a form that is read: {'; '.join(FORMS)}")
    found: list[Edge] = []
    for name, cell in zip(("normal", "reduction"), cells):
        if len(cell) != 2 * len(NODES):
            raise InputError(f"architecture {text[:120]!r}: the {name} cell has {len(cell)} edges; expected 8")
        where = f"architecture {text[:120]!r}: {name} cell"
        found += [_checked(edge, NODES[i // 2], where) for i, edge in enumerate(cell)]
    return found


def _checked(edge: object, node: int, where: str) -> Edge:
    """Check an edge of a node: two values, a known operation by name or number, and an earlier input."""
    if not isinstance(edge, Sequence) or isinstance(edge, str) or len(edge) != 2:
        raise InputError(f"{where}: {str(edge)[:80]!r} is not an edge, an operation and an input")
    source, operation = reversed(edge) if isinstance(edge[0], str) else edge
    if isinstance(operation, int) and 0 <= operation < len(NUMBERED):
        operation = NUMBERED[operation]
    if operation not in OPERATIONS:
        raise InputError(f"{where}: operation {str(operation)[:80]!r}; choose from: {', '.join(OPERATIONS)}")
    if not isinstance(source, int) or not 0 <= source < node:
        raise InputError(f"{where}: node {node} reads input {str(source)[:80]!r}; choose from 0 to {node - 1}")
    return source, OPERATIONS[operation]


def _genotype(text: str) -> Sequence[Sequence[object]] | None:
    """Read "Genotype(normal=..., normal_concat=..., reduce=..., reduce_concat=...)", also behind "NAME = "."""
    try:
        call = ast.parse(text[text.index("Genotype") :].strip(), mode="eval").body
        given = {k.arg: k.value for k in call.keywords} if isinstance(call, ast.Call) else {}
        cells = [ast.literal_eval(given[name]) for name in ("normal", "reduce")]
        joined = [_numbers(given[name]) for name in ("normal_concat", "reduce_concat") if name in given]
    except (SyntaxError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return None
    for nodes in joined:
        if tuple(nodes) != NODES:
            raise InputError(
                f"architecture {text[:120]!r}: cells that join nodes {list(nodes)}; expected {list(NODES)}"
            )
    return cells if all(isinstance(cell, (list, tuple)) for cell in cells) else None


def _numbers(node: ast.expr) -> Sequence[int]:
    """The value of a list of numbers, or of "range(2, 6)"."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        return range(*(int(ast.literal_eval(argument)) for argument in node.args))[:10]
    values = ast.literal_eval(node)
    return tuple(values)


def _tuples(text: str) -> Sequence[Sequence[object]] | None:
    try:
        cells = ast.literal_eval(text.strip())
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    fine = isinstance(cells, (list, tuple)) and len(cells) == 2 and all(isinstance(c, (list, tuple)) for c in cells)
    return cells if fine else None


def _table(text: str) -> Sequence[Sequence[object]] | None:
    cells = [re.split(r"[\s,]+", part.strip()) for part in text.split("|")]
    if len(cells) != 2 or not all(re.fullmatch(r"\d-\d", edge) for cell in cells for edge in cell):
        return None
    return [[tuple(map(int, edge.split("-"))) for edge in cell] for cell in cells]
