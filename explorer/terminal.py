"""What commands print: a result as text or as one JSON document, tables, progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


def answer(value: Any, as_json: bool, text: str) -> None:
    """Print a result; with `--json` stdout holds nothing else."""
    print(json.dumps(value, allow_nan=False) if as_json else text)


def progress(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """A bar with time left on a terminal, a line now and then elsewhere; always stderr."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(items, what, total, console=Console(stderr=True), transient=True)
        return
    start = said = time.monotonic()
    for done, item in enumerate(items):
        yield item
        now = time.monotonic()
        if now - said > 15:
            left = (now - start) / (done + 1) * (total - done - 1)
            print(f"{what}: {done + 1}/{total}, {left:.0f} s left", file=sys.stderr, flush=True)
            said = now


def table(rows: list[dict[str, Any]]) -> str:
    """Plain aligned columns."""
    if not rows:
        return "(none)"
    cells = [list(rows[0])] + [[_cell(v) for v in row.values()] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return " to ".join(_cell(v) for v in value) if len(value) == 2 else ", ".join(map(_cell, value))
    return str(value)
