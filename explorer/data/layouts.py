"""Finding the images of a folder: which class and which split every file belongs to, and what is left out.

Recognised, in this order:

    a list          PATH is a .csv or .txt file that names files and their classes, or a folder with such a file
    splits          train/CLASS/.., val/CLASS/.., test/CLASS/.. in the usual spellings
    classes, splits CLASS/train/.., CLASS/test/..
    classes         CLASS/..

What can be read in two ways is refused. An archive is a folder. Nothing is decoded here; neither Pillow nor torch is
needed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from explorer.core.errors import InputError
from explorer.core.files import is_file, is_folder
from explorer.data.archives import is_archive, unpacked
from explorer.data.lists import Row, is_list, lists_in, read_list
from explorer.data.places import Places
from explorer.data.spelling import SPLITS, is_system, looks_like_image, plain_name, split_of

WORDS = {"train": "training", "val": "validation", "test": "test"}
RESOLVED = 0.5  # share of a list's files that are in its folder, from which it is a list of this folder


@dataclass(frozen=True)
class Found:
    """One file: where it is, its path below the root, its class, and its split where the layout gives one."""

    path: Path
    name: str
    label: str
    split: str = ""


@dataclass(frozen=True)
class Skipped:
    """Files that are left out: of a class ("" where they have none), with one ending, for one reason."""

    label: str
    ending: str
    why: str
    count: int = 1
    example: str = ""


@dataclass(frozen=True)
class Listing:
    """The files of a data set, before any is opened.

    Attributes:
        root: the folder.
        layout: what was recognised, in words.
        files: the files that may be images, class by class.
        skipped: what is left out already.
        empty: classes whose folders hold no file at all.
    """

    root: Path
    layout: str
    files: tuple[Found, ...]
    skipped: tuple[Skipped, ...] = ()
    empty: tuple[str, ...] = ()


@dataclass
class _Walk:
    """What a walk over a folder met besides the files that it yields."""

    root: Path
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (path below the root, why)
    seen: set[Path] = field(default_factory=set)

    def files(self, folder: Path) -> Iterator[Path]:
        """Yield the files of a folder and below; links are followed as long as they stay below the root, once each."""
        try:
            real = folder.resolve()
            if real in self.seen:
                return
            self.seen.add(real)
            inside = sorted(folder.iterdir(), key=lambda p: (p.is_symlink(), p.name))  # links after what they link to
        except (OSError, RuntimeError):
            self.skipped.append((self.name(folder), "a folder that cannot be read"))
            return
        for path in inside:
            if is_system(path.name):
                continue
            kind = self._kind(path)
            if kind == "folder":
                yield from self.files(path)
            elif kind == "file":
                yield path
            else:
                self.skipped.append((self.name(path), kind))

    def _kind(self, path: Path) -> str:
        """Return "file", "folder", or why neither is read."""
        try:
            if path.is_symlink() and not path.resolve().is_relative_to(self.root.resolve()):
                return "a link that leaves the folder"
            if path.is_symlink() and not path.exists():
                return "a link to nothing"
            return "folder" if path.is_dir() else "file" if path.is_file() else "neither a file nor a folder"
        except (OSError, RuntimeError):  # a link to itself
            return "a link that leads nowhere"

    def name(self, path: Path) -> str:
        """Return the path below the root, with "/"."""
        return plain_name(path.relative_to(self.root).as_posix())


def listing(path: Path) -> Listing:
    """Find the files of a folder, an archive, or a list file, with their classes and splits.

    Raises:
        InputError: the path does not exist, holds no images, or its layout can be read in two ways.
    """
    if is_archive(path):
        path = unpacked(path)
    if not is_folder(path) and not (is_file(path) and is_list(path)):
        raise InputError(f"image folder {str(path)!r} does not exist")
    try:
        if is_file(path):
            return _listed(path.parent, {path: read_list(path)}, alone=True)
        return _of_folder(_stepped_into(path))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"image folder {str(path)!r} cannot be read: {getattr(error, 'strerror', '') or error}"
        ) from error


def _folders(path: Path) -> list[Path]:
    """Return the folders in a folder, by name, without those of a system."""
    return sorted((p for p in path.iterdir() if p.is_dir() and not is_system(p.name)), key=lambda p: p.name)


def _stepped_into(path: Path) -> Path:
    """Step into a folder while its only folder holds all images, unless that one is named like a split."""
    while True:
        inside = _folders(path)
        pictures = any(p.is_file() and looks_like_image(p.name) for p in path.iterdir())
        if len(inside) != 1 or pictures or inside[0].is_symlink() or split_of(inside[0].name) or lists_in(path):
            return path
        if not _folders(inside[0]) and not lists_in(inside[0]):
            return path
        path = inside[0]


def _of_folder(root: Path) -> Listing:
    lists = lists_in(root)
    if lists:
        found = _listed(root, lists)
        named = sum(len(rows) for rows in lists.values())
        if len(found.files) >= RESOLVED * named:
            return found
        if not [p for p in _folders(root) if _holds_files(p)] or _only_folder_of_images(root):
            raise InputError(
                f"{', '.join(p.name for p in lists)} in {str(root)!r} names {named:,} files; {len(found.files):,} "
                "of them are in the folder"
            )
    walk = _Walk(root)
    named_parts = {p.name: split_of(p.name) for p in _folders(root) if _holds_files(p)}
    found_parts = [split for split in named_parts.values() if split]
    twice = next((s for s in found_parts if found_parts.count(s) > 1), None)
    if twice is not None:
        both = ", ".join(repr(n) for n, s in named_parts.items() if s == twice)
        raise InputError(f"image folder {str(root)!r}: the folders {both} both mean the {twice!r} part; rename one")
    others = [name for name, split in named_parts.items() if not split]
    if "train" in found_parts and not others:
        return _splits_outside(root, walk, {name: split for name, split in named_parts.items() if split})
    train = next((name for name, split in named_parts.items() if split == "train"), None)
    if others and (len(found_parts) >= 2 or (train is not None and _folders(root / train))):
        raise InputError(
            f"image folder {str(root)!r} can be read in two ways: {', '.join(n for n, s in named_parts.items() if s)} "
            f"are parts of a split, or classes beside {', '.join(others[:5])}; move one kind elsewhere"
        )
    if len(found_parts) >= 2:
        raise InputError(f"image folder {str(root)!r} has the parts {', '.join(named_parts)}, but no part for training")
    return _classes_outside(root, walk)


def _only_folder_of_images(root: Path) -> bool:
    folders = _folders(root)
    return len(folders) == 1 and not _folders(folders[0])


def _holds_files(folder: Path) -> bool:
    return next(_Walk(folder).files(folder), None) is not None


def _splits_outside(root: Path, walk: _Walk, parts: dict[str, str]) -> Listing:
    """train/CLASS/.., val/CLASS/.., test/CLASS/.."""
    files, loose = [], list[tuple[str, str]]()
    for name, split in parts.items():
        folder = root / name
        # seg_train/seg_train/CLASS: the same word once more
        inside = _folders(folder)
        if len(inside) == 1 and split_of(inside[0].name) == split:
            folder = inside[0]
        if not _folders(folder) and split == "train":
            raise InputError(
                f"image folder {str(root)!r}: {name!r} is the training part, but has no folders of classes; expected "
                f"{name}/CLASS/photograph, or a table labels.csv with the columns file and label"
            )
        for path in walk.files(folder):
            below = path.relative_to(folder).parts
            if len(below) == 1:
                loose.append((walk.name(path), "it is in no class folder"))
            else:
                files.append(Found(path, walk.name(path), below[0], split))
    given = [s for s in SPLITS if any(f.split == s for f in files)]
    layout = "folders of " + ", ".join(WORDS[s] for s in given) + " with one folder per class"
    missing = [WORDS[s] for s in SPLITS if s not in given]
    layout += f"; {' and '.join(missing)} drawn from training" if missing else ""
    return _finished(root, layout, files, walk, loose)


def _classes_outside(root: Path, walk: _Walk) -> Listing:
    """CLASS/.., where every class may have the parts of a split inside."""
    files, loose = [], list[tuple[str, str]]()
    folders = {p.name for p in _folders(root)}
    for path in walk.files(root):
        parts = path.relative_to(root).parts
        if len(parts) == 1:
            loose.append((walk.name(path), "it is in no class folder"))
        else:
            files.append(Found(path, walk.name(path), parts[0]))
    pictures = [f for f in files if looks_like_image(f.path.name)]
    inner = Counter(split_of(f.path.relative_to(root).parts[1]) if len(f.path.relative_to(root).parts) > 2 else ""
                    for f in pictures)  # fmt: skip
    if inner["train"] and inner["val"] + inner["test"]:
        if inner[""]:
            odd = next(f.name for f in pictures if len(f.path.relative_to(root).parts) < 3 or not _inner(root, f))
            raise InputError(
                f"image folder {str(root)!r} can be read in two ways: its classes have folders of training and test "
                f"inside, but {odd!r} is in none of them; move it"
            )
        files = [Found(f.path, f.name, f.label, _inner(root, f)) for f in pictures]
        return _finished(root, "one folder per class, each with folders of its parts", files, walk, loose)
    empty = tuple(sorted(folders - {f.label for f in files} - {n.split("/")[0] for n, _ in walk.skipped}))
    return _finished(root, "one folder per class; validation and test drawn", files, walk, loose, empty)


def _inner(root: Path, found: Found) -> str:
    return split_of(found.path.relative_to(root).parts[1])


def _listed(root: Path, lists: dict[Path, list[Row]], alone: bool = False) -> Listing:
    """images/ with labels.csv, or lists of files; `alone` where the user named the list, not the folder around it."""
    files, lacking, walk = [], list[tuple[str, str]](), _Walk(root)
    every = list(walk.files(root))
    places = Places(root, every)
    for path, rows in lists.items():
        for row in rows:
            found, why = places.find(row.file)
            if found is None:
                lacking.append((row.file, f"named in {path.name}, but {why}"))
            else:
                files.append(Found(found, walk.name(found), row.label, row.split))
    counts = Counter(f.path for f in files)
    twice = next((path for path, n in counts.items() if n > 1), None)
    if twice is not None:
        raise InputError(f"{', '.join(p.name for p in lists)}: file {walk.name(twice)!r} is named twice")
    known = {f.path for f in files} | set(lists)
    rest = [] if alone else [(walk.name(p), "not named in the list") for p in every if p not in known]
    if alone:
        walk.skipped.clear()
        if not files:
            raise InputError(
                f"{', '.join(str(p) for p in lists)}: none of its {len(lacking):,} files is below {str(root)!r}"
            )
    given = [s for s in SPLITS if any(f.split == s for f in files)]
    layout = f"listed in {', '.join(p.name for p in lists)}" + ("; parts given" if given else "; parts drawn")
    return _finished(root, layout, sorted(files, key=lambda f: (f.label, f.name)), walk, lacking + rest)


def _finished(
    root: Path, layout: str, files: list[Found], walk: _Walk, loose: list[tuple[str, str]], empty: tuple[str, ...] = ()
) -> Listing:
    """Check the classes' names and add up what is left out."""
    for label in sorted({f.label for f in files}):
        if not label.isprintable() or not label.strip() or label in (".", ".."):  # printable: can be encoded as UTF-8
            raise InputError(f"image folder {str(root)!r}: {label!r} cannot be the name of a class; rename it")
    skipped = [("", name, why) for name, why in loose]
    skipped += [(name.split("/")[0] if "/" in name else "", name, why) for name, why in walk.skipped]
    return Listing(root, layout, tuple(files), tuple(added_up(skipped)), empty)


def added_up(skipped: list[tuple[str, str, str]]) -> list[Skipped]:
    """Add up (class, path, why): one entry per class, ending and reason."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for label, name, why in skipped:
        found.setdefault((label, os.path.splitext(name)[1].lower(), why), []).append(name)
    return [Skipped(label, end, why, len(names), names[0]) for (label, end, why), names in sorted(found.items())]
