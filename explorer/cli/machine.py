"""`explorer bench` and `doctor`: the speed of this machine and the state of this installation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from explorer.cli.terminal import Json, answer, progress, table
from explorer.core.errors import InputError


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Smaller sizes; two to four minutes.")] = False,
    part: Annotated[list[str] | None, typer.Option("--part", help="Measure this part only; repeatable.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A JSON file for the result.")] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", help="Result file of an earlier run to compare with; exit code 1 if a ratio became worse."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Benchmark this package on this machine, as ratios of measurements within one run.

    Parts: training, scoring, costs, generator, search, random_weights, page and memory.
    Ratios, unlike seconds, can be compared with an earlier run (--against).
    """
    from explorer.bench import regressions, rows, run
    from explorer.core.errors import require_torch
    from explorer.core.files import expanded, read_json, write_json

    require_torch("explorer bench")
    reference = read_json(expanded(against)) if against else None
    if out is not None and not expanded(out).parent.is_dir():
        raise InputError(f"--out {str(out)!r}: its folder does not exist")
    found = run(part or (), quick, progress)
    worse = regressions(found, reference) if reference is not None else []
    if reference is not None:
        found["regressions"] = worse
    if out is not None:
        write_json(expanded(out), found)
    said = [{**row, "value": f"{row['value']:.4g}" if row["value"] != "" else ""} for row in rows(found)]
    text = table(said) + "".join(f"\nworse: {line}" for line in worse)
    answer(found, as_json, text)
    if worse:
        raise typer.Exit(1)


def doctor(as_json: Json = False) -> None:
    """Check this installation for missing and broken parts; exit code 1 if something is broken."""
    from explorer.cli.doctor import checks

    rows = checks()
    answer(rows, as_json, table([{"": row["state"], "what": row["what"], "detail": row["detail"]} for row in rows]))
    if any(row["state"] == "broken" for row in rows):
        raise typer.Exit(1)
