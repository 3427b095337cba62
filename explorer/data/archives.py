"""Image archives, unpacked once into `$EXPLORER_HOME/images`; nothing outside that folder is written."""

from __future__ import annotations

import hashlib
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

from explorer.core.errors import READ_ERRORS, InputError, first_line
from explorer.core.files import home, is_file

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2")
BROKEN = (OSError, RuntimeError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
LIMIT = 4_000_000_000  # maximum bytes after unpacking
RATIO, FREE = 200, 100_000_000  # an archive may unpack to RATIO times its own size, or to FREE bytes if that is more
MEMBERS = 2_000_000
LONGEST_HEADER = 100_000  # bytes


def is_archive(path: Path) -> bool:
    """Whether `path` is a file whose name ends like an archive's."""
    return is_file(path) and path.name.lower().endswith(ENDINGS)


def unpacked(path: Path) -> Path:
    """Unpack an archive on first use; return the folder of its contents, or the only folder inside it.

    Raises:
        InputError: the archive is damaged or too large, or has members that would leave the folder.
    """
    about = path.stat()
    name = hashlib.sha256(f"{path.resolve()}:{about.st_size}:{about.st_mtime_ns}".encode()).hexdigest()[:16]
    folder = home() / "images" / name
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=folder.parent) as scratch:
                # a sub-folder, because the scratch folder itself is readable by its owner only
                work = Path(scratch) / "images"
                work.mkdir()
                (_zip if path.name.lower().endswith(".zip") else _tar)(path, work)
                work.rename(folder)
        except InputError:
            raise
        except (*BROKEN, *READ_ERRORS) as error:
            if not folder.is_dir():  # unless another process has unpacked it meanwhile
                raise InputError(f"archive {str(path)!r} cannot be unpacked: {first_line(error)}") from error
    inside = [p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX"))]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _zip(path: Path, out: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        _check((m.file_size for m in archive.infolist()), path)
        # extract() only strips drives, roots and "..", so such names are rejected here
        for member in archive.infolist():
            _inside(member.filename, path)
        archive.extractall(out)


def _tar(path: Path, out: Path) -> None:
    with tarfile.open(path, tarinfo=_Member) as archive:
        _check((m.size for m in archive), path)  # a member's size is read before its contents
        extract: Callable[..., None] = archive.extractall
        extract(out, filter="data")  # rejects links and paths that leave the folder, and devices; ignores owners


class _Member(tarfile.TarInfo):
    """A member whose name and extended headers may not be longer than any path, because they are read into memory."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type not in (*tarfile.REGULAR_TYPES, tarfile.DIRTYPE) and self.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]


def _check(sizes: Iterable[int], path: Path) -> None:
    total, most = 0, min(LIMIT, max(FREE, RATIO * path.stat().st_size))
    for i, size in enumerate(sizes):
        total += size
        if total > most:
            raise InputError(f"archive {str(path)!r} holds {total:,} bytes or more; at most {most:,} are unpacked")
        if i >= MEMBERS:
            raise InputError(f"archive {str(path)!r} holds more than {MEMBERS:,} files")


def _inside(name: str, path: Path) -> None:
    if name.startswith(("/", "\\")) or ".." in Path(name.replace("\\", "/")).parts:
        raise InputError(f"archive {str(path)!r} has a member outside the archive's folder: {name!r}")
