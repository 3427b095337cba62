"""`explorer data`: what is in a folder of photographs, shown before anything is trained. Needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.terminal import Json, Seed, SkipBroken, answer, progress, table
from explorer.core.errors import InputError, require
from explorer.core.files import check_writable, write_text

if TYPE_CHECKING:
    from explorer.data.about import About
    from explorer.data.folders import Folder

app = typer.Typer(no_args_is_help=True, help="Look at a folder of photographs, and read it once for all trainings.")
Data = Annotated[str, typer.Argument(help="folder:PATH; PATH is a folder, an archive, or a list of files.")]
Size = Annotated[
    int, typer.Option(help="Height and width in pixels that are cut from every photograph.", min=8, max=1024)
]


@app.command()
def info(
    data: Data,
    size: Size = 96,
    seed: Seed = 0,
    skip_broken: SkipBroken = False,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet to this HTML file: some photographs of every class.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what is recognised in a folder: layout, classes, parts, sizes, duplicates, and what is left out."""
    if sheet is not None:
        check_writable(sheet, "the contact sheet to ")
    folder = _folder(data, size, seed, skip_broken)
    about = folder.about()
    if sheet is not None:
        from explorer.data.sheet import contact_sheet

        write_text(sheet, f"<!doctype html><meta charset='utf-8'><title>Contact sheet</title>{contact_sheet(folder)}")
    answer(about.as_json(), as_json, described(about))


@app.command()
def prepare(
    data: Data, size: Size = 224, seed: Seed = 0, skip_broken: SkipBroken = False, as_json: Json = False
) -> None:
    """Read a folder once and keep its pixels on disk, where every training of this size finds them.

    A training does the same by itself; this is for large folders, before the training.
    """
    import numpy as np

    folder = _folder(data, size, seed, skip_broken)
    folder.prepared.crops(np.concatenate([folder.rows[s] for s in ("train", "val", "test")]))
    place = folder.prepared.folder
    used = sum(file.stat().st_size for file in place.iterdir())
    about = folder.about()
    value = about.as_json() | {"folder": str(place), "bytes": used, "size": size}
    answer(value, as_json, f"{described(about)}\n{used / 1e6:,.0f} MB in {place}; delete it at any time")


def _folder(data: str, size: int, seed: int, skip_broken: bool) -> Folder:
    if not data.startswith("folder:"):
        raise InputError(f"data {data!r}: expected folder:PATH")
    require("scipy", "looking for duplicates")
    from explorer.core.files import expanded
    from explorer.data.folders import Folder

    return Folder(expanded(data.removeprefix("folder:")), seed, size, skip_broken, progress)


def described(about: About) -> str:
    """Describe what was read, in lines of text."""
    rows = [{"class": name, **parts, "all": sum(parts.values())} for name, parts in about.counts.items()]
    total = {split: sum(parts[split] for parts in about.counts.values()) for split in ("train", "val", "test")}
    rows.append({"class": "(all)", **total, "all": about.images})
    sizes = ", ".join(f"{name} {width} x {height}" for name, (width, height) in about.sizes.items())
    d = about.duplicates
    lines = [
        f"layout: {about.layout}", table(rows), f"sizes in px: {sizes}",
        f"duplicates: {d.exact} exact and {d.near} near pairs; where parts are drawn, they are kept in one",
        *(f"note: {line}" for line in about.warnings()),
    ]  # fmt: skip
    return "\n".join(lines)
