"""Read CSV files with one network per row, given by its key or in once-for-all's notation."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.files import read_limited
from explorer.core.protocols import SearchSpace


def csv_rows(path: Path) -> tuple[list[str], Iterator[tuple[str, dict[str, str]]]]:
    """Return the columns, and an iterator over the rows as (location for messages, cells)."""
    reader = csv.DictReader(read_limited(path).splitlines())

    def rows() -> Iterator[tuple[str, dict[str, str]]]:
        try:
            yield from ((f"{str(path)!r}, line {number}", row) for number, row in enumerate(reader, 2))
        except csv.Error as error:
            raise InputError(f"{str(path)!r}, line {reader.line_num + 1}: {error}") from error

    try:
        columns = [str(c).strip() for c in reader.fieldnames or []]
    except csv.Error as error:
        raise InputError(f"{str(path)!r}, line 1: {error}") from error
    reader.fieldnames = columns
    return columns, rows()


NetworkRow = tuple[str, Architecture, dict[str, str]]  # location for messages, network, cells


def network_rows(path: Path, space: SearchSpace) -> tuple[list[str], Iterator[NetworkRow]]:
    """Return the columns, and an iterator over the rows as (location for messages, network, cells).

    A row gives its network by `key`, or by once-for-all's `ks`, `e`, `d` (lists joined with "-") and `resolution`.

    Raises:
        InputError: a row cannot be read; the message names the file and the line.
    """
    columns, rows = csv_rows(path)

    def networks() -> Iterator[NetworkRow]:
        for where, row in rows:
            try:
                network = _network(space, row, columns)
            except (InputError, KeyError, ValueError, AttributeError) as error:
                raise InputError(f"{where}: {error}") from error
            yield where, network, row

    return columns, networks()


def _network(space: SearchSpace, row: Mapping[str, str], columns: list[str]) -> Architecture:
    if "key" in columns:
        return Architecture.from_key(space, row["key"])
    missing = [c for c in ("ks", "e", "d") if c not in columns]
    reads = getattr(space, "from_ofa", None)
    if missing or reads is None:
        raise InputError(f"no column 'key', and once-for-all's columns lack {missing}")
    config: dict[str, Any] = {c: [int(v) for v in row[c].split("-")] for c in ("ks", "e", "d")}
    if row.get("resolution"):
        config["r"] = int(row["resolution"])
    one: Architecture = reads(config)
    return one
