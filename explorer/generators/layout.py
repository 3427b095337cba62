"""A space's decisions laid out as a 2-D map, which a convolutional generator reads and writes.

There is one row per block or slot and one column per option of its decisions. A decision with fewer options than others
of its kind leaves its first cells empty. For SGNAS's space this is the published map of 19 x 24.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from explorer.core.protocols import SearchSpace
from explorer.spaces.base import Decision, records_of

LAST = 10**6  # sorts after the row of every place


@dataclass(frozen=True)
class Layout:
    """The position of every option in the map.

    Attributes:
        rows, columns: size of the map.
        cells: (D,) flat index of every option, decisions in gene order.
        options: number of options per decision.
    """

    rows: int
    columns: int
    cells: np.ndarray
    options: tuple[int, ...]

    def one_hot(self, codes: np.ndarray) -> np.ndarray:
        """Encode architectures as one-hot maps: (n, d) int8 -> (n, 1, rows, columns) float32."""
        offsets = np.cumsum([0, *self.options[:-1]])
        maps = np.zeros((len(codes), self.rows * self.columns), np.float32)
        np.put_along_axis(maps, self.cells[offsets + codes], 1.0, axis=1)
        return maps.reshape(len(codes), 1, self.rows, self.columns)


def layout(space: SearchSpace) -> Layout:
    """Lay out the decisions of a space.

    There is one row per place and one group of columns per kind and part of decision. A decision without a place gets a
    row of its own, after the others.
    """
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
    """Return the sort key of a decision's row; a decision of a whole stage shares the row of the stage's first slot."""
    if not record.place:
        return (LAST, gene)
    return record.place + (1,) * (deepest - len(record.place))
