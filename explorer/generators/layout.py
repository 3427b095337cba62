"""A space's decisions as a map of rows and columns: what a convolutional generator reads and writes.

One row per block or slot, one column per option of its decisions; a decision with fewer options than others of its
kind leaves its first cells empty. For SGNAS's space this is the published map of 19 x 24.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.core.protocols import SearchSpace
from explorer.spaces.base import Decision, records_of

LAST = 10**6  # a row number behind all places


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
    """The map of a space: a row per place, a column group per kind of decision and part; what has no place has a row of
    its own, behind the others."""
    records = records_of(space)
    deepest = max((len(record.place) for record in records), default=0)
    widest: dict[str, int] = {}  # options of the widest decision of every kind
    for record in records:
        widest[record.kind] = max(widest.get(record.kind, 0), len(record.options))
    starts: dict[tuple[str, int], int] = {}
    columns = 0
    for record in records:
        if (record.kind, record.part) not in starts:
            starts[record.kind, record.part] = columns
            columns += widest[record.kind]
    places = [_row(record, gene, deepest) for gene, record in enumerate(records)]
    rows = {place: i for i, place in enumerate(sorted(set(places)))}
    cells: list[int] = []
    for place, record in zip(places, records):
        count = len(record.options)
        start = rows[place] * columns + starts[record.kind, record.part] + widest[record.kind] - count
        cells += range(start, start + count)
    return Layout(len(rows), columns, np.array(cells), tuple(len(record.options) for record in records))


def _row(record: Decision, gene: int, deepest: int) -> tuple[int, ...]:
    """A stage's own decision stands in the row of its first slot."""
    if not record.place:
        return (LAST, gene)
    return record.place + (1,) * (deepest - len(record.place))
