"""Files that are either whole or absent.

Written under a temporary name in the same folder, flushed, then renamed: a crash leaves the old file or none.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from explorer.core.errors import InputError

LARGEST = 100_000_000  # bytes of one text file


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write a file atomically.

    Raises:
        InputError: the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
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


def read_limited(path: str | Path) -> str:
    """UTF-8 text of a file of at most 100 MB.

    Raises:
        InputError: absent, too large, or no text; names the file.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)  # not by its size: what is no plain file says 0 and never ends
        if len(data) > LARGEST:
            raise InputError(f"{str(path)!r} has more than {LARGEST:,} bytes, which is all that is read")
        return data.decode().replace("\r\n", "\n")
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not UTF-8 text") from error


def read_json(path: str | Path) -> Any:
    """Read JSON.

    Raises:
        InputError: absent, too large, or not JSON; names the file.
    """
    text = read_limited(path)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{str(path)!r} is not valid JSON: {error}") from error


def is_file(path: str | Path) -> bool:
    """Whether there is a file of that name; what no file can be called is none (`Path.is_file` raises on it)."""
    return os.path.isfile(path)


def is_folder(path: str | Path) -> bool:
    """The same for folders."""
    return os.path.isdir(path)


def empty_folder(path: str | Path) -> Path:
    """A folder to write to, which need not exist yet.

    Raises:
        InputError: it is a file, or not empty.
    """
    path = expanded(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise InputError(f"out folder {str(path)!r} is not empty")
    return path


def hand_over(work: Path, out: Path) -> None:
    """Make a scratch folder's files those of the new or empty folder `out`: all of them at once, or none.

    A folder that is there stays the same one: it may be somebody's working directory, or a disk of its own.

    Raises:
        InputError: it cannot be written there.
    """
    there = out.is_dir()
    fresh = (out if there else out.parent) / f".{out.name}.{os.getpid()}.tmp"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(work, fresh)
        if there:
            for inside in sorted(fresh.iterdir(), key=lambda path: path.name == "study.json"):  # it says: complete
                inside.rename(out / inside.name)
        else:
            fresh.rename(out)
    except OSError as error:
        raise InputError(f"cannot write to {str(out)!r}: {_why(error)}") from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _why(error: OSError) -> str:
    """The system's words; of a copied tree, those about its first file."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        return str(error.args[0][0][2])
    return error.strerror or str(error)


def sha256(path: str | Path) -> str:
    """Hex digest of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def expanded(path: str | Path) -> Path:
    """A path with `~` replaced.

    Raises:
        InputError: it names a user that this machine does not have.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise InputError(f"path {str(path)!r}: there is no such user on this machine") from error


def data_folder(kind: str) -> Path:
    """Where `data/<kind>` or `notebooks` lies: in the wheel, else in the checkout."""
    package = Path(__file__).resolve().parent.parent
    shipped = package / "_notebooks" if kind == "notebooks" else package / "_data" / kind
    if shipped.is_dir():
        return shipped
    root = package.parent
    return root / "notebooks" if kind == "notebooks" else root / "data" / kind


def home() -> Path:
    """The user's own folder: `$EXPLORER_HOME`, else the platform's data folder."""
    if os.environ.get("EXPLORER_HOME"):
        return expanded(os.environ["EXPLORER_HOME"])
    import platformdirs

    return Path(platformdirs.user_data_dir("pareto-explorer"))
