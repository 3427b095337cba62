"""One process at a time in a study's folder. The system frees the lock of a process that was killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from explorer.errors import InputError

NAME = ".lock"


@contextmanager
def sole(folder: Path) -> Iterator[None]:
    """Hold a folder while working in it.

    Raises:
        InputError: another process holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / NAME)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"another process is at work in {str(folder)!r}; wait for it, or stop it first") from error
    try:
        yield
    finally:
        (folder / NAME).unlink(missing_ok=True)
        lock.release()
