"""A space's decisions as a map of rows and columns: what a convolutional generator reads and writes.

One row per block or slot, one column per option of its decisions; a decision with fewer options than others of its
letter leaves its first cells empty. For SGNAS's space this is the published map of 19 x 24.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from explorer.core.protocols import SearchSpace


@dataclass(frozen=True)
class Layout:
    """Where every option lies.

    Attributes:
        rows, columns: size of the map.
        cells: (D,) flat position of every option, decisions in gene order.
        options: options per decision.
    """

    rows: int
    columns: int
    cells: np.ndarray
    options: tuple[int, ...]

    def one_hot(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n, 1, rows, columns) float32."""
        offsets = np.cumsum([0, *self.options[:-1]])
        maps = np.zeros((len(codes), self.rows * self.columns), np.float32)
        np.put_along_axis(maps, self.cells[offsets + codes], 1.0, axis=1)
        return maps.reshape(len(codes), 1, self.rows, self.columns)


def layout(space: SearchSpace) -> Layout:
    """The map of a space; decisions with other names than ours get a row of their own."""
    counts = {name: len(options) for name, options in space.decisions.items()}
    places = [_place(name) for name in counts]
    letters: dict[str, int] = {}  # widest decision of every letter
    for (_, kind), count in zip(places, counts.values()):
        letters[kind[:1]] = max(letters.get(kind[:1], 0), count)
    width = {kind: letters[kind[:1]] for _, kind in places}
    kinds = {kind: sum(list(width.values())[:i]) for i, kind in enumerate(width)}
    rows: dict[str, int] = {}
    for row, _ in sorted(places, key=lambda place: _natural(place[0])):
        rows.setdefault(row, len(rows))
    columns, cells = sum(width.values()), []
    for (row, kind), count in zip(places, counts.values()):
        start = rows[row] * columns + kinds[kind] + width[kind] - count
        cells += list(range(start, start + count))
    return Layout(len(rows), columns, np.array(cells), tuple(counts.values()))


def _place(name: str) -> tuple[str, str]:
    """Row and kind of a decision: "b3.2" is kind b2 of row 3, "k1.2" kind k of row 1.2, "d1" kind d of row 1.1."""
    match = re.fullmatch(r"([a-z])(\d+)(?:\.(\d+))?", name)
    if match is None:
        return name, name
    letter, first, second = match.groups()
    if letter == "b":
        return first, f"b{second}"
    return f"{first}.{second or 1}", letter


def _natural(row: str) -> tuple:
    return tuple(int(part) if part.isdigit() else 10**6 for part in row.split("."))
