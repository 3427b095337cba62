"""Finding the file that a line of a list means: as it is written, else by the end of its path."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from explorer.data.spelling import looks_like_image


class Places:
    """The files below a folder.

    Args:
        root: the folder.
        files: all files below it.
    """

    def __init__(self, root: Path, files: Sequence[Path]) -> None:
        self.whole: dict[str, Path] = {}
        self.names: dict[str, list[Path]] = {}
        self.parts: dict[Path, tuple[str, ...]] = {}
        self.stems: dict[str, list[Path]] = {}
        for path in files:
            below = _plain(path.relative_to(root).as_posix())
            self.whole[below] = path
            self.parts[path] = PurePosixPath(below).parts
            self.names.setdefault(self.parts[path][-1], []).append(path)
            if looks_like_image(path.name):
                self.stems.setdefault(PurePosixPath(below).stem, []).append(path)

    def find(self, text: str) -> tuple[Path | None, str]:
        """Return the file that a list means, and "", or None and why there is none.

        The file is found as it is written; else by the longest end of its path that only one file has (lists often name
        the folder of another machine); else, where the list names no ending, by its name without one.
        """
        wanted = _plain(text)
        if wanted in self.whole:
            return self.whole[wanted], ""
        parts = tuple(p for p in PurePosixPath(wanted).parts if p not in ("/", ".", ".."))
        if not parts:
            return None, "not in the folder"
        candidates = self.names.get(parts[-1]) or self.stems.get(parts[-1], [])
        agreed = {path: _common(self.parts[path][:-1], parts[:-1]) for path in candidates}
        best = [path for path, n in agreed.items() if n == max(agreed.values())]
        if not best:
            return None, "not in the folder"
        if len(best) > 1:
            return None, f"{len(best)} files of that name are in the folder"
        flat = len({self.parts[path][:-1] for path in self.parts if looks_like_image(path.name)}) == 1
        if len(parts) > 1 and not agreed[best[0]] and not flat:
            return None, "only a file of that name in another folder is there"
        return best[0], ""


def _plain(text: str) -> str:
    """Write a path with "/" and composed letters: Windows has other separators, macOS other letters."""
    return unicodedata.normalize("NFC", text.replace("\\", "/")).removeprefix("./")


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> int:
    """Return how many parts two paths have in common at their ends."""
    count = 0
    for x, y in zip(reversed(a), reversed(b)):
        if x != y:
            break
        count += 1
    return count
