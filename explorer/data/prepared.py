"""Photographs read once and kept on disk: what `explorer data prepare` writes and a training reads.

A prepared data set is a folder below `$EXPLORER_HOME/images`, named after its files (names, sizes, times) and the size
that is cut from them. It is written under a temporary name and renamed, so it is whole or absent. Pixels are read
through memory maps, so that a data set may be larger than the memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL

from explorer.core.errors import InputError
from explorer.core.files import home, read_json, write_json
from explorer.core.onnx_session import cores
from explorer.core.protocols import Progress, silent
from explorer.data.duplicates import COLOURS, FINE, Marks, mark
from explorer.data.layouts import Found, Listing, Skipped, added_up
from explorer.data.reading import Broken, NoImage, centre, read_image, with_heic

VERSION = 2  # of the files below; another version is another folder
ABOUT, INDEX, PIXELS = "about.json", "index.npz", "pixels.u8"
CHUNK = 256  # files that are decoded before they are written


@dataclass(frozen=True)
class Prepared:
    """A data set on disk.

    Attributes:
        folder: where its files are.
        size: height and width in pixels of the crops.
        channels: 1 if every image is grey, else 3.
        kept: (n,) which of the listing's files are in it.
        starts, shapes: place in the file of pixels, and (height, width), of every photograph.
        originals: (n, 2) width and height of the files, upright.
        sums: (n, 2, channels) sum of the crop's pixels and of their squares, in [0, 1].
        marks: what duplicates are found by.
        skipped: files that are not in it.
        deep: darkest and brightest value of images with more than 8 bits; () where there are none.
    """

    folder: Path
    size: int
    channels: int
    kept: np.ndarray
    starts: np.ndarray
    shapes: np.ndarray
    originals: np.ndarray
    sums: np.ndarray
    marks: Marks
    skipped: tuple[Skipped, ...]
    deep: tuple[float, ...]

    @property
    def pixels(self) -> np.ndarray:
        """All pixels, (total,) uint8: a memory map of the file."""
        return np.memmap(self.folder / PIXELS, np.uint8, "c")

    def crops(self, order: np.ndarray) -> np.ndarray:
        """Return the middle of every photograph in an order, (n, channels, size, size) uint8: a memory map.

        The file is written on first use.
        """
        name = hashlib.sha256(np.ascontiguousarray(order, np.int64).tobytes()).hexdigest()[:16]
        path = self.folder / f"crops-{name}.u8"
        shape = (len(order), self.channels, self.size, self.size)
        if not path.exists():
            scratch = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            try:
                self._cut(order, scratch)
                scratch.replace(path)
            except OSError as error:
                scratch.unlink(missing_ok=True)
                raise InputError(
                    f"the photographs cannot be cut into {str(self.folder)!r}: {error.strerror or error}"
                ) from error
        return np.memmap(path, np.uint8, "c", shape=shape)

    def _cut(self, order: np.ndarray, out: Path) -> None:
        """Write the middle of every photograph; read piece by piece, because mapped pages count as memory."""
        with open(self.folder / PIXELS, "rb") as source, open(out, "wb") as file:
            for row in order:
                _append(file, self.middle(source, row).transpose(2, 0, 1))

    def middle(self, file: BinaryIO, row: int) -> np.ndarray:
        """Read the middle of one photograph, (size, size, channels) uint8, from the open file of pixels."""
        height, width = (int(v) for v in self.shapes[row])
        file.seek(int(self.starts[row]))
        whole = np.frombuffer(file.read(height * width * self.channels), np.uint8)
        return centre(whole.reshape(height, width, self.channels), self.size)


def prepare(found: Listing, size: int, skip_broken: bool = False, progress: Progress = silent) -> Prepared:
    """Read the files of a listing, or open what was read before.

    Args:
        found: the files.
        size: height and width in pixels of the crops that will be cut.
        skip_broken: leave out damaged files; otherwise they are refused.
        progress: reports files.

    Raises:
        InputError: damaged files, a class without any readable image, fewer than 20 images, or no room on the disk.
    """
    try:
        folder = home() / "images" / _key(found, size)
    except OSError as error:
        raise InputError(
            f"{str(found.root)!r} changed while it was read: {error.strerror} ({error.filename})"
        ) from error
    if not (folder / ABOUT).is_file() or _mended(found, folder, size):
        _write(found, size, folder, progress)
    prepared = _opened(folder, found)
    _check(found, prepared, folder, skip_broken)
    return prepared


def _key(found: Listing, size: int) -> str:
    """Name the folder after everything that its contents depend on."""
    facts: list[object] = [VERSION, size, with_heic(), PIL.__version__]
    for file in found.files:
        about = file.path.stat()
        facts.append([file.name, about.st_size, about.st_mtime_ns])
    return hashlib.sha256(json.dumps([str(found.root.resolve()), facts]).encode()).hexdigest()[:16]


def _mended(found: Listing, folder: Path, size: int) -> bool:
    """Whether a file that could not be read can be now: its permissions do not change its name, size or time."""
    broken = {name for _, name, _ in read_json(folder / ABOUT)["broken"]}
    return any(not isinstance(_tried(file, size), InputError) for file in found.files if file.name in broken)


def _write(found: Listing, size: int, folder: Path, progress: Progress) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)  # of an older version, or half deleted
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as scratch:
            work = Path(scratch) / "work"
            work.mkdir()
            _read_all(found, size, work, progress)
            try:
                work.rename(folder)
            except OSError:
                if not (folder / ABOUT).is_file():  # unless another process has prepared it meanwhile
                    raise
    except OSError as error:
        raise InputError(
            f"the photographs of {str(found.root)!r} cannot be prepared in {str(folder.parent)!r}: "
            f"{error.strerror or error}"
        ) from error


Read = tuple[np.ndarray, tuple[int, int], str] | NoImage | Broken


def _tried(file: Found, size: int) -> Read:
    try:
        return read_image(file.path, size)
    except (NoImage, Broken) as error:
        return error


def _in_turn(found: Sequence[Found], size: int, progress: Progress) -> Iterator[tuple[int, Read]]:
    """Decode files on all cores, a bounded number ahead; yield them in order."""
    # Pillow warns of odd tags; `catch_warnings` must stand around the threads, because it is not safe inside them
    with warnings.catch_warnings(), ThreadPoolExecutor(cores()) as pool:
        warnings.simplefilter("ignore")
        starts = range(0, len(found), CHUNK)
        for start in progress(starts, len(starts), "reading photographs"):
            rows = found[start : start + CHUNK]
            yield from enumerate(pool.map(_tried, rows, [size] * len(rows)), start)


def _read_all(found: Listing, size: int, work: Path, progress: Progress) -> None:
    """Write pixels, index and description of all files that can be read."""
    lacking: list[tuple[str, str, str, bool]] = []
    kept: list[int] = []
    starts: list[int] = []
    shapes: list[tuple[int, ...]] = []
    originals: list[tuple[int, int]] = []
    kinds: list[str] = []
    deep: dict[int, np.ndarray] = {}
    marks, sums = list[tuple[np.ndarray, np.ndarray, int]](), list[np.ndarray]()
    place = 0
    with open(work / PIXELS, "wb") as file:
        for at, read in _in_turn(found.files, size, progress):
            if isinstance(read, InputError):
                one = found.files[at]
                lacking.append((one.label, one.name, str(read), isinstance(read, Broken)))
                continue
            pixels, original, kind = read
            if kind == "deep":
                deep[len(kept)] = pixels
                pixels = np.zeros(pixels.shape, np.uint8)
            kept.append(at)
            kinds.append(kind)
            originals.append(original)
            starts.append(place)
            shapes.append(pixels.shape[:2])
            marks.append((*mark(pixels), _digest(pixels)))
            sums.append(_sums(pixels, size))
            place += _append(file, pixels)
    scale = _fill_in(work / PIXELS, deep, starts, marks, sums, size)
    channels = 3 if "colour" in kinds else 1
    if channels == 1 and kept:
        starts = _to_one_channel(work / PIXELS, starts, shapes)
    small, colours, digests = zip(*marks) if marks else ((), (), ())
    np.savez(
        work / INDEX, kept=np.array(kept, np.int64), starts=np.array(starts, np.int64),
        shapes=np.array(shapes, np.int64).reshape(-1, 2), originals=np.array(originals, np.int64).reshape(-1, 2),
        sums=np.array(sums).reshape(-1, 2, 3)[:, :, :channels],
        colours=np.array(colours, np.uint8).reshape(-1, COLOURS**2 * 3),
        miniatures=np.array(small, np.uint8).reshape(-1, FINE**2), digests=np.array(digests, np.uint64),
    )  # fmt: skip
    unread = added_up([(label, name, why) for label, name, why, broken in lacking if not broken])
    broken = [(label, name, why) for label, name, why, bad in lacking if bad]
    write_json(work / ABOUT, {
        "version": VERSION, "size": size, "channels": channels, "deep": scale,
        "unread": [asdict(s) for s in unread], "broken": broken,
    })  # fmt: skip


def _append(file: BinaryIO, pixels: np.ndarray) -> int:
    return file.write(np.ascontiguousarray(pixels).tobytes())


def _digest(pixels: np.ndarray) -> int:
    return int.from_bytes(hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).digest()[:8], "big")


def _sums(pixels: np.ndarray, size: int) -> np.ndarray:
    scaled = centre(pixels, size).reshape(-1, 3) / 255
    return np.stack([scaled.sum(0), (scaled**2).sum(0)])


def _fill_in(
    path: Path, deep: dict[int, np.ndarray], starts: Sequence[int], marks: list, sums: list, size: int
) -> list[float]:
    """Bring images of more than 8 bits to one scale: from 0 (or their darkest value) to their brightest."""
    if not deep:
        return []
    low, high = min(0.0, *(float(p.min()) for p in deep.values())), max(float(p.max()) for p in deep.values())
    with open(path, "r+b") as file:
        for row, values in deep.items():
            pixels = np.round((values - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
            marks[row] = (*mark(pixels), _digest(pixels))
            sums[row] = _sums(pixels, size)
            file.seek(starts[row])
            _append(file, pixels)
    return [low, high]


def _to_one_channel(path: Path, starts: Sequence[int], shapes: Sequence[tuple[int, ...]]) -> list[int]:
    """Keep one of three equal channels; return where every photograph starts now."""
    pixels, new, place = np.memmap(path, np.uint8, "r"), [], 0
    thin = path.with_suffix(".one")
    with open(thin, "wb") as file:
        for start, (height, width) in zip(starts, shapes):
            new.append(place)
            place += _append(file, pixels[start : start + 3 * height * width : 3])
    thin.replace(path)
    return new


def _opened(folder: Path, found: Listing) -> Prepared:
    about = read_json(folder / ABOUT)
    with np.load(folder / INDEX) as index:
        values = {name: index[name] for name in index.files}
    marks = Marks(values.pop("miniatures"), values.pop("colours"), values.pop("digests"))
    broken = added_up([(label, name, f"damaged: {why}") for label, name, why in about["broken"]])
    skipped = (*found.skipped, *(Skipped(**s) for s in about["unread"]), *broken)
    return Prepared(
        folder, about["size"], about["channels"], marks=marks, skipped=skipped, deep=tuple(about["deep"]), **values
    )


def _check(found: Listing, prepared: Prepared, folder: Path, skip_broken: bool) -> None:
    """Refuse damaged files, classes without a readable image, and too few images."""
    root = str(found.root)
    broken = [name for _, name, _ in read_json(folder / ABOUT)["broken"]]
    if broken and not skip_broken:
        shown = ", ".join(broken[:5]) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        raise InputError(
            f"{len(broken)} file(s) in {root!r} are not readable images: {shown}; repair or remove them, or leave them "
            "out with --skip-broken"
        )
    labels = [found.files[i].label for i in prepared.kept]
    for label in sorted({f.label for f in found.files} - set(labels)):
        why = "; ".join(f"{s.count} file(s) {s.ending}: {s.why}" for s in prepared.skipped if s.label == label)
        raise InputError(f"class {label!r} in {root!r} has no image that can be read ({why})")
    if not labels:
        raise InputError(f"image folder {root!r} has no images: expected one sub-folder of images per class")
    if len(set(labels)) < 2:
        raise InputError(f"image folder {root!r} has one class only ({labels[0]!r}); at least two are needed")
    if len(labels) < 20:
        raise InputError(f"image folder {root!r} has {len(labels)} images; at least 20 are needed")
