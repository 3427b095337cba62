"""Lists of image files with their classes: a table (labels.csv) or lines of text (train.txt)."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path, PurePath

from explorer.core.errors import InputError
from explorer.core.files import read_limited
from explorer.data.spelling import split_of

FILE = (
    "file", "filename", "file_name", "image", "image_name", "img", "path", "filepath", "image_path", "image_id", "id",
    "name",
)  # fmt: skip
LABEL = ("label", "class", "category", "target", "label_name", "class_name", "species", "breed", "classname", "y")
SPLIT = ("split", "set", "subset", "part", "partition")
TABLES = ("labels", "label", "annotations", "classes", "metadata", "images", "list", "files", "data", "index")


class NoList(InputError):
    """A file is not a list of image files with classes; the message says what it lacks."""


@dataclass(frozen=True)
class Row:
    """One line of a list: the file as it is written there, its class, and its split ("" where none is given)."""

    file: str
    label: str
    split: str = ""


def is_list(path: PurePath) -> bool:
    """Whether a path is named like a list."""
    return path.suffix.lower() in (".csv", ".tsv", ".txt")


def lists_in(folder: Path) -> dict[Path, list[Row]]:
    """Return the lists of a folder with their rows: labels.csv or the like, else train.csv, val.csv, test.csv.

    Raises:
        InputError: a file is a list by its columns, but one of its lines is wrong.
    """
    files = sorted(p for p in folder.iterdir() if p.is_file() and is_list(p))
    for chosen in ([p for p in files if p.stem.lower() in TABLES], [p for p in files if split_of(p.stem)]):
        found = {}
        for path in chosen:
            try:
                found[path] = read_list(path)
            except NoList:
                continue
        if found:
            return dict(list(found.items())[:1]) if not split_of(next(iter(found)).stem) else found
    return {}


def read_list(path: Path) -> list[Row]:
    """Read a list.

    Args:
        path: a table with a header that names a column of files and one of classes (and perhaps one of splits), or
            lines "file class". Where there is no column of splits, the list's own name may say which part it is.

    Raises:
        NoList: the columns cannot be recognised.
        InputError: a line has no class, or an unknown split; the message names it.
    """
    text = read_limited(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise NoList(f"{str(path)!r} is empty")
    own = split_of(path.stem)
    separator = next((s for s in (",", "\t", ";") if s in lines[0]), None)
    if separator is None:
        pairs = [line.rsplit(maxsplit=1) for line in lines]
        bad = next((i for i, pair in enumerate(pairs, 1) if len(pair) != 2), None)
        if bad is not None:
            raise NoList(f"{str(path)!r}, line {bad}: {lines[bad - 1][:80]!r} is not FILE CLASS")
        return [Row(file.strip(), label, own) for file, label in pairs]
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=separator)]
    except csv.Error as error:
        raise InputError(f"{str(path)!r} is not a table: {error}") from error
    rows = [row for row in rows if any(row)]
    head = [cell.lower() for cell in rows[0]]
    files, labels, splits = (_column(head, names) for names in (FILE, LABEL, SPLIT))
    first = 2
    if files is None and labels is None and len(head) == 2 and "." in rows[0][0]:  # no header: FILE,CLASS
        files, labels, rows, first = 0, 1, [[], *rows], 1
    elif labels is None and files is not None and len(head) == 2:
        labels = 1 - files
    if files is None or labels is None:
        raise NoList(
            f"{str(path)!r} has the columns {', '.join(rows[0])[:200]}; expected one of files (such as 'file') and one "
            "of classes (such as 'label')"
        )
    found = []
    for number, row in enumerate(rows[1:], first):
        if len(row) <= max(files, labels) or not row[files] or not row[labels]:
            raise InputError(f"{str(path)!r}, line {number}: {separator.join(row)[:80]!r} has no file or no class")
        split = own
        if splits is not None and splits < len(row):
            split = split_of(row[splits])
            if not split:
                raise InputError(
                    f"{str(path)!r}, line {number}: {head[splits]} is {row[splits][:40]!r}; expected train, val or test"
                )
        found.append(Row(row[files], row[labels], split))
    return found


def _column(head: list[str], names: tuple[str, ...]) -> int | None:
    """Return the place of the first column that has one of these names, in the order of the names."""
    return next((head.index(name) for name in names if name in head), None)
