"""Image data sets with one seeded train / val / test split.

Models are trained on `train`, every choice is made on `val`, and `test` is used only to report a finished network.
Images are kept in memory as uint8, (n, channels, height, width); the code that computes with a batch converts it to
float.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from explorer.core.errors import InputError, checked_seed, unknown
from explorer.core.files import expanded
from explorer.core.protocols import Progress, silent
from explorer.data.about import About
from explorer.data.photos import Photos

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")


SQUASHED, READING = 1, 2  # ways in which folders were and are read; a study names the one of its training


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: (n, c, size, size) uint8.
        labels: (n,) int64.
        photos: the whole photographs that the images are cut from, where there are any.
    """

    images: torch.Tensor
    labels: torch.Tensor
    photos: Photos | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray | slice) -> Split:
        """Return the rows at `index`."""
        at = index if isinstance(index, slice) else torch.from_numpy(np.asarray(index))
        photos = None if self.photos is None else self.photos.take(index)
        return Split(self.images[at], self.labels[at], photos)


@dataclass(frozen=True)
class Images:
    """A data set: three splits, class names, and the mean and standard deviation of its training images.

    Attributes:
        mean, std: per channel, of the training images scaled to [0, 1].
        fingerprint: changes with the pixels, labels and parts; "" where it is to be computed from them.
        about: for folders, what was read and how (see `folders.About`).
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str = ""
    about: About | None = None

    @property
    def channels(self) -> int:
        """Number of channels: 1 (grey) or 3 (colour)."""
        return int(self.train.images.shape[1])

    @property
    def size(self) -> int:
        """Height and width in pixels."""
        return int(self.train.images.shape[2])

    def split(self, name: str) -> Split:
        """Return a split by name.

        Raises:
            InputError: the name is not "train", "val" or "test".
        """
        if name not in ("train", "val", "test"):
            raise unknown("split", name, ("train", "val", "test"))
        return getattr(self, name)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return class -> {"train", "val", "test"} -> number of images."""
        every = {s: torch.bincount(self.split(s).labels, minlength=len(self.classes)) for s in ("train", "val", "test")}
        return {name: {s: int(n[i]) for s, n in every.items()} for i, name in enumerate(self.classes)}

    def coloured(self) -> Images:
        """Return the same data in three channels, for networks that were trained on colour images."""
        if self.channels == 3:
            return self
        train, val, test = (
            replace(s, images=s.images.expand(-1, 3, -1, -1), photos=s.photos and s.photos.coloured())
            for s in (self.train, self.val, self.test)
        )
        return replace(self, mean=self.mean * 3, std=self.std * 3, train=train, val=val, test=test)

    def subset(self, train: int | None = None) -> Images:
        """Return the same data with only the first `train` training images (they are already shuffled)."""
        return self if train is None else replace(self, train=self.train.take(slice(0, train)))


def load_dataset(
    name: str, seed: int = 0, size: int | None = None, skip_broken: bool = False, reading: int = READING,
    progress: Progress = silent,
) -> Images:  # fmt: skip
    """Load a data set by name.

    Args:
        name: "digits", "fashion-mnist", "cifar10" (photographs in `$EXPLORER_CIFAR10`, else torchvision's files), or
            "folder:PATH" (a folder, an archive, or a list of files; see `explorer.data.layouts`).
        seed: seed of the split; equal seeds give equal splits. Parts that a folder gives are kept.
        size: for "folder:" only, height and width in pixels of the images; 32 by default. The shorter side of a
            photograph is scaled to 8/7 of it, and the middle is cut out.
        skip_broken: for "folder:" only, leave out damaged files instead of refusing them.
        reading: for "folder:" only, how images become pixels and parts; 1 is the way of the first edition, for studies
            that were trained then.
        progress: reports files that are read for the first time.

    Raises:
        InputError: unknown name, missing files, an image that cannot be read, or fewer than two classes.
    """
    seed = checked_seed(seed)
    if name.startswith("folder:"):
        path = expanded(name.removeprefix("folder:"))
        if size is not None and not (isinstance(size, int) and not isinstance(size, bool) and 4 <= size <= 1024):
            raise InputError(f"size = {size!r}; choose a whole number of pixels from 4 to 1024")
        if reading == SQUASHED:
            from explorer.data.squashed import load_squashed

            return load_squashed(path, seed, size or 32, name)
        from explorer.data.folders import Folder

        return Folder(path, seed, size or 32, skip_broken, progress).images(name)
    if name not in DATASETS:
        raise unknown("data set", name, [*DATASETS, "folder:PATH"])
    return DATASETS[name](seed)


def _digits(seed: int) -> Images:
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = np.round(raw.images * (255 / 16)).astype(np.uint8)[:, None]
    return shuffled("digits", [str(d) for d in range(10)], images, raw.target, seed, val=360, test=360)


def _fashion_mnist(seed: int) -> Images:
    classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]
    folder = Path(os.environ.get("EXPLORER_FASHION_MNIST", DEBIAN_FASHION))
    names = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    if all((folder / n).is_file() for n in names):
        x, y, test_x, test_y = (_idx(folder / n) for n in names)
    else:
        from torchvision.datasets import FashionMNIST

        parts = _download("Fashion-MNIST", lambda train: FashionMNIST(_cache(), train=train, download=True),
                          f"or install Debian's package dataset-fashion-mnist (looked in {folder})")  # fmt: skip
        (x, y), (test_x, test_y) = ((p.data.numpy(), p.targets.numpy()) for p in parts)
    return shuffled("fashion-mnist", classes, x[:, None], y, seed, val=5000, test=(test_x[:, None], test_y))


def _cifar10(seed: int) -> Images:
    from explorer.data.cifar import CLASSES, VARIABLE, cifar_photographs

    where = os.environ.get(VARIABLE)
    if where:
        parts = cifar_photographs(expanded(where))
        (x, y), test = parts["train"], parts["test"]
    else:
        from torchvision.datasets import CIFAR10

        both = _download("CIFAR-10", lambda train: CIFAR10(_cache(), train=train, download=True),
                         f"or set {VARIABLE} to a folder or an archive of train/CLASS and test/CLASS, "
                         f"or put its extracted cifar-10-batches-py into {_cache()}")  # fmt: skip
        (x, y), test = ((np.ascontiguousarray(p.data.transpose(0, 3, 1, 2)), np.array(p.targets)) for p in both)
    return shuffled("cifar10", list(CLASSES), x, y, seed, val=5000, test=test)


DATASETS: dict[str, Callable[[int], Images]] = {
    "digits": _digits,
    "fashion-mnist": _fashion_mnist,
    "cifar10": _cifar10,
}


def _cache() -> str:
    from explorer.core.files import home

    return str(home() / "datasets")


def _download(what: str, fetch: Callable[[bool], object], otherwise: str) -> tuple:
    try:
        return fetch(True), fetch(False)
    except Exception as error:
        raise InputError(
            f"{what} is not on this machine and could not be downloaded ({type(error).__name__}): "
            f"connect to the internet, {otherwise}"
        ) from error


def _idx(path: Path) -> np.ndarray:
    """Read one file of the IDX format (big-endian header, then bytes)."""
    try:
        data = gzip.decompress(path.read_bytes())
        dims = data[3]
        shape = np.frombuffer(data, ">i4", dims, 4)
        if dims not in (1, 3):
            raise ValueError(f"{dims} dimensions")
        return np.frombuffer(data, np.uint8, offset=4 + 4 * dims).reshape(shape)
    except (OSError, ValueError, IndexError, EOFError) as error:
        raise InputError(f"{str(path)!r} is damaged: {error}") from error


def shuffled(
    name: str, classes: list[str], x: np.ndarray, y: np.ndarray, seed: int, val: int,
    test: int | tuple[np.ndarray, np.ndarray],
) -> Images:  # fmt: skip
    """Shuffle once by seed; the last rows become val, and also test where the data has no test part."""
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    if isinstance(test, int):
        test_x, test_y, x, y = x[-test:], y[-test:], x[:-test], y[:-test]
    else:
        test_x, test_y = test
    train_x, train_y, val_x, val_y = x[:-val], y[:-val], x[-val:], y[-val:]
    scaled = train_x.astype(np.float32) / 255

    def split(a: np.ndarray, b: np.ndarray) -> Split:
        return Split(torch.from_numpy(np.array(a)), torch.from_numpy(np.array(b, np.int64)))

    return Images(
        name, tuple(classes), split(train_x, train_y), split(val_x, val_y), split(test_x, test_y),
        tuple(float(v) for v in scaled.mean((0, 2, 3))), tuple(float(max(v, 1e-3)) for v in scaled.std((0, 2, 3))),
    )  # fmt: skip
