"""Atomic file writing, size-limited reading, and the folders that the package uses.

A file is written under a temporary name in the same folder, flushed, then renamed. After a crash there is the old file
or none, never a partial one.
"""

import codecs
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from explorer.core.errors import InputError, first_line

LARGEST = 100_000_000  # maximum bytes of one text file


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file atomically; the target of a link is replaced, not the link, and a pipe or device is written to.

    Raises:
        InputError: the file or its folder cannot be written.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            path.write_bytes(data)
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True) if temporary.parent.is_dir() else None
        raise InputError(f"cannot write {str(path)!r}: {_why(error)}") from error
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Write UTF-8 text atomically."""
    return write_bytes(path, text.encode())


def write_json(path: str | Path, value: Any) -> Path:
    """Write readable, deterministic JSON atomically."""
    return write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _encoding(data: bytes) -> str:
    """The encoding that a file's byte order mark names; Windows' programs write one."""
    return "utf-16" if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def read_limited(path: str | Path) -> str:
    """Read a UTF-8 text file of at most 100 MB, or one of UTF-16 with a byte order mark.

    Raises:
        InputError: the file is missing, too large, or not text; the message names it.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            # the reported size is not used: a pipe or a device reports 0 and may never end
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise InputError(f"{str(path)!r} has more than {LARGEST:,} bytes, which is all that is read")
        return data.decode(_encoding(data)).lstrip("\ufeff").replace("\r\n", "\n")
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not UTF-8 text") from error


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: the file is missing, too large, or not JSON, or an object has a key twice; the message names it.
    """
    text = read_limited(path)
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} is not valid JSON: {error}") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; of a key that it has twice, Python would silently keep the last value."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)[:120]!r} occurs twice in one object")
    return made


def is_file(path: str | Path) -> bool:
    """Whether `path` is an existing file; False for an invalid file name, on which `Path.is_file` raises."""
    return os.path.isfile(path)


def is_folder(path: str | Path) -> bool:
    """Whether `path` is an existing folder; False for an invalid name."""
    return os.path.isdir(path)


def empty_folder(path: str | Path) -> Path:
    """Check that an output folder is empty or does not exist yet; return its path with `~` expanded.

    Raises:
        InputError: the path is a file, or a folder that is not empty.
    """
    path = expanded(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InputError(f"out folder {str(path)!r} is not empty")
    check_writable(path)
    return path


def check_writable(path: str | Path, what: str = "") -> None:
    """Check, before any work, that a file or folder can be made: a file is written beside it and removed.

    Args:
        path: the file or folder; folders above it need not exist yet.
        what: what is to be written there, for the message.

    Raises:
        InputError: nothing can be written there.
    """
    above = Path(os.path.abspath(path))
    if above.exists() and not (above.is_file() or above.is_dir()):
        return  # a pipe or a device
    while not above.is_dir() and above != above.parent:
        above = above.parent
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        raise InputError(f"cannot write {what}{str(path)!r}: {_why(error)}") from error


def scratch_folder(prefix: str) -> Path:
    """Make a private folder for temporary files, which the caller removes.

    Raises:
        InputError: this machine has no folder for temporary files that can be written.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise _no_temporary(error) from error


@contextmanager
def scratch(prefix: str) -> Iterator[Path]:
    """A private folder for temporary files, removed at the end of use or process; raises as `scratch_folder` does."""
    try:
        made = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise _no_temporary(error) from error
    with made as folder:
        yield Path(folder)


def _no_temporary(error: OSError) -> InputError:
    return InputError(f"no folder for temporary files can be written; set TMPDIR to one: {first_line(error)}")


def hand_over(work: Path, out: Path) -> None:
    """Copy the files of a scratch folder to `out`, a new or empty folder: all of them at once, or none.

    An existing `out` is filled, not replaced, because it may be a working directory or a mount point.

    Raises:
        InputError: `out` cannot be written.
    """
    there = out.is_dir()
    fresh = (out if there else out.parent) / f".{out.name}.{os.getpid()}.tmp"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()  # a scratch folder is readable by its owner only; this one as the user's other folders
        for inside in work.iterdir():
            (shutil.copytree if inside.is_dir() else shutil.copy2)(inside, fresh / inside.name)
        if there:
            # study.json comes last: it marks the folder as complete
            for inside in sorted(fresh.iterdir(), key=lambda path: path.name == "study.json"):
                inside.rename(out / inside.name)
        else:
            fresh.rename(out)
    except OSError as error:
        raise InputError(f"cannot write to {str(out)!r}: {_why(error)}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _why(error: OSError) -> str:
    """Return the system's error message; for a failed `copytree`, the message about its first file."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][2])
    return error.strerror or str(error)


def sha256(path: str | Path) -> str:
    """Return the SHA-256 hex digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: str | Path) -> Path:
    """Return a path with `~` expanded.

    Raises:
        InputError: the path names a user that does not exist on this machine.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"path {str(path)!r}: there is no such user on this machine") from error


def data_folder(kind: str) -> Path:
    """Return the folder `data/<kind>`, or `notebooks`: inside the installed wheel, else in the source checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_notebooks" if kind == "notebooks" else package / "_data" / kind
    if shipped.is_dir():
        return shipped
    root = package.parent
    return root / "notebooks" if kind == "notebooks" else root / "data" / kind


def home() -> Path:
    """Return the folder for the user's data: `$EXPLORER_HOME`, else the platform's data folder."""
    if os.environ.get("EXPLORER_HOME"):
        return expanded(os.environ["EXPLORER_HOME"])
    import platformdirs

    return Path(platformdirs.user_data_dir("pareto-explorer"))
