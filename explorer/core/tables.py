"""Read CSV files of other programs: the separator, decimal commas and the spelling of column names are found out.

Nothing is guessed that would change a number: a cell that can be read in two ways is refused, with its line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.files import read_limited
from explorer.core.protocols import SearchSpace

SEPARATORS = ",;\t"
COMMA = re.compile(r"[+-]?\d+,\d+(e[+-]?\d+)?", re.IGNORECASE)  # a number with a decimal comma, or thousands
GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")  # what thousands would look like


NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)


def number_of(text: str) -> float:
    """Read a decimal number; unlike `float`, "1_0" and digits of other scripts are no numbers.

    Raises:
        ValueError: the text is not a number.
    """
    if not NUMBER.fullmatch(text.strip()) and text.strip().lower() not in ("nan", "inf", "-inf"):
        raise ValueError(f"{text[:80]!r} is not a number")
    return float(text)


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        where: file and line, for messages.
        cells: column -> text, decimal commas already written as points.
    """

    where: str
    cells: dict[str, str]


@dataclass(frozen=True)
class CsvTable:
    """The contents of a CSV file.

    Attributes:
        path: the file.
        columns: names of the columns as `column_name` writes them.
        rows: its rows, blank ones left out.
    """

    path: Path
    columns: list[str]
    rows: list[Row]


def column_name(text: str) -> str:
    """Return the name of a column in small letters with "_" between its words, so that spellings agree.

    >>> column_name(" Latency (us)"), column_name("Latency [ms]"), column_name("KEY")
    ('latency_us', 'latency_ms', 'key')
    """
    return re.sub(r"[\s()\[\]/,;:_-]+", "_", text.strip().lower()).strip("_")


def read_csv(path: Path) -> CsvTable:
    """Read a CSV file with a line of column names.

    Commas, semicolons and tabs separate; the one that the first line has most often is the file's. Where that is not
    the comma, a comma inside a number is a decimal comma.

    Raises:
        InputError: two columns have one name, a row has more cells than the first line, or a number can be read in two
            ways; the message names the file and the line.
    """
    text = read_limited(path)
    first, _, rest = text.partition("\n")
    hint = re.fullmatch(r"sep=(.)\s*", first)  # Excel's hint at the separator
    separator = hint[1] if hint else max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(rest if hint else text, newline=""), delimiter=separator)
    lines, skipped = [], 1 if hint else 0
    try:
        lines += [(reader.line_num + skipped, cells) for cells in reader if any(c.strip() for c in cells)]
    except csv.Error as error:
        raise InputError(f"{str(path)!r}, line {reader.line_num + skipped}: {error}") from error
    if not lines:
        return CsvTable(path, [], [])
    columns = _columns(path, lines[0][1])
    rows = []
    for line, cells in lines[1:]:
        where = f"{str(path)!r}, line {line}"
        if len(cells) > len(columns) and any(c.strip() for c in cells[len(columns) :]):
            raise InputError(
                f"{where}: {len(cells)} cells, but there are {len(columns)} columns; a number with a decimal comma "
                "needs another separator, such as a semicolon"
            )
        texts = [*map(str.strip, cells[: len(columns)]), *[""] * (len(columns) - len(cells))]
        rows.append(Row(where, dict(zip(columns, texts))))
    return CsvTable(path, columns, rows if separator == "," else _with_points(rows, columns, separator))


def _columns(path: Path, names: Iterable[str]) -> list[str]:
    seen: dict[str, str] = {}
    for position, name in enumerate(names, 1):
        short = column_name(name) or f"column_{position}"
        if short in seen:
            raise InputError(f"{str(path)!r}: columns {seen[short]!r} and {name!r} have the same name")
        seen[short] = name
    return list(seen)


def _with_points(rows: list[Row], columns: list[str], separator: str) -> list[Row]:
    """Write decimal commas as points, column by column.

    Raises:
        InputError: a column has commas and points, or its commas can also separate thousands.
    """
    changed = {column for column in columns if any(COMMA.fullmatch(row.cells[column]) for row in rows)}
    for column in changed:
        texts = [(row.where, row.cells[column]) for row in rows]
        for where, text in texts:
            if re.fullmatch(r"[+-]?[\d.,]*\.[\d.,]*", text):
                raise InputError(
                    f"{where}: {column} {text[:40]!r}: this column has commas, too; write all with a point"
                )
        if separator != ";" and all(GROUPED.fullmatch(t) for _, t in texts if "," in t):
            where, text = next((w, t) for w, t in texts if "," in t)
            raise InputError(
                f"{where}: {column} {text[:40]!r} has a comma that can be a decimal comma or separate thousands; write "
                "it with a point or without"
            )
    if not changed:
        return rows

    def pointed(column: str, text: str) -> str:
        return text.replace(",", ".") if column in changed and COMMA.fullmatch(text) else text

    return [Row(row.where, {c: pointed(c, text) for c, text in row.cells.items()}) for row in rows]


NetworkRow = tuple[str, Architecture, dict[str, str]]  # location for messages, network, cells


def network_rows(path: Path, space: SearchSpace) -> tuple[list[str], Iterator[NetworkRow]]:
    """Return the columns, and an iterator over the rows as (location for messages, network, cells).

    A row gives its network by `key`, or by once-for-all's `ks`, `e`, `d` (lists joined with "-") and `resolution`.

    Raises:
        InputError: a row cannot be read; the message names the file and the line.
    """
    table = read_csv(path)
    if not table.rows:
        raise InputError(f"{str(path)!r} has no rows: expected a line of column names, then a network per line")
    columns = table.columns
    missing = [c for c in ("ks", "e", "d") if c not in columns]
    if "key" not in columns and (missing or getattr(space, "from_ofa", None) is None):
        found = ", ".join(columns)
        raise InputError(
            f"{str(path)!r}: no column 'key' (its columns: {found}), and once-for-all's columns lack {missing}"
        )

    def networks() -> Iterator[NetworkRow]:
        for row in table.rows:
            try:
                network = _network(space, row.cells, columns)
            except (InputError, KeyError, ValueError, AttributeError) as error:
                raise InputError(f"{row.where}: {error}") from error
            yield row.where, network, row.cells

    return columns, networks()


def _network(space: SearchSpace, row: Mapping[str, str], columns: list[str]) -> Architecture:
    if "key" in columns:
        return Architecture.from_key(space, row["key"])
    config: dict[str, Any] = {c: [int(v) for v in row[c].split("-")] for c in ("ks", "e", "d")}
    if row.get("resolution"):
        config["r"] = int(row["resolution"])
    reads: Any = getattr(space, "from_ofa", None)
    one: Architecture = reads(config)
    return one
