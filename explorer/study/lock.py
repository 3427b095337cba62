"""Reserving a folder for one recipe and locking it for one process.

The operating system releases the lock of a process that was killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from explorer.core.errors import InputError
from explorer.core.files import write_text
from explorer.study.manifest import RECIPE

NAME = ".lock"


def reserve_folder(folder: Path, recipe: str, resume: bool) -> None:
    """Reserve a folder for one recipe by writing the recipe into it.

    Args:
        folder: a new or empty folder or, with `resume`, one that is reserved for the same recipe.
        recipe: TOML text of everything that determines the run.
        resume: whether the folder may hold an earlier run to be continued.

    Raises:
        InputError: the path is a file, or the folder is not empty or is reserved for another recipe.
    """
    path = folder / RECIPE
    if folder.exists() and not folder.is_dir():
        raise InputError(f"output path {str(folder)!r} is a file; expected a folder")
    inside = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    contents = [name for name in inside if name != NAME and not name.endswith(".tmp")]
    if contents and not resume:
        hint = "; add --resume to continue the run in it" if RECIPE in contents else ""
        raise InputError(f"output folder {str(folder)!r} is not empty{hint}")
    if contents and not path.exists():
        raise InputError(f"output folder {str(folder)!r} has files but no {RECIPE}, so there is no run to resume")
    if path.exists() and path.read_text(encoding="utf-8") != recipe:
        raise InputError(f"output folder {str(folder)!r} belongs to another recipe (its {RECIPE} differs)")
    write_text(path, recipe)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder while working in it.

    Raises:
        InputError: another process holds the lock.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"another process is using {str(folder)!r}; wait until it has finished, or stop it") from error
    try:
        yield
    finally:
        (folder / NAME).unlink(missing_ok=True)
        lock.release()
