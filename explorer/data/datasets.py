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
from explorer.core.files import expanded, is_folder
from explorer.data.archives import is_archive, unpacked

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
FOLDER_LIMIT = 50_000_000  # maximum pixels of one image file; larger images are rejected before they are decoded


@dataclass(frozen=True)
class Split:
    """Images (n, c, h, w) uint8 and labels (n,) int64."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray | slice) -> Split:
        """Return the rows at `index`."""
        at = index if isinstance(index, slice) else torch.from_numpy(np.asarray(index))
        return Split(self.images[at], self.labels[at])


@dataclass(frozen=True)
class Images:
    """A data set: three splits, class names, and the mean and standard deviation of its training images.

    Attributes:
        mean, std: per channel, of the training images scaled to [0, 1].
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    val: Split
    test: Split
    mean: tuple[float, ...]
    std: tuple[float, ...]

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

    def subset(self, train: int | None = None) -> Images:
        """Return the same data with only the first `train` training images (they are already shuffled)."""
        return self if train is None else replace(self, train=self.train.take(slice(0, train)))


def load_dataset(name: str, seed: int = 0, size: int | None = None) -> Images:
    """Load a data set by name.

    Args:
        name: "digits", "fashion-mnist", "cifar10", or "folder:PATH" (a folder or archive with one sub-folder per
            class).
        seed: seed of the split; equal seeds give equal splits.
        size: for "folder:" only, height and width in pixels that images are resized to; 32 by default.

    Raises:
        InputError: unknown name, missing files, an image that cannot be read, or fewer than two classes.
    """
    seed = checked_seed(seed)
    if name.startswith("folder:"):
        return _folder(expanded(name.removeprefix("folder:")), seed, size or 32, name)
    if name not in DATASETS:
        raise unknown("data set", name, [*DATASETS, "folder:PATH"])
    return DATASETS[name](seed)


def _digits(seed: int) -> Images:
    from sklearn.datasets import load_digits

    raw = load_digits()
    images = np.round(raw.images * (255 / 16)).astype(np.uint8)[:, None]
    return _split("digits", [str(d) for d in range(10)], images, raw.target, seed, val=360, test=360)


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
    return _split("fashion-mnist", classes, x[:, None], y, seed, val=5000, test=(test_x[:, None], test_y))


def _cifar10(seed: int) -> Images:
    from torchvision.datasets import CIFAR10

    train, test = _download("CIFAR-10", lambda train: CIFAR10(_cache(), train=train, download=True),
                            f"or put its extracted cifar-10-batches-py into {_cache()}")  # fmt: skip
    x, test_x = (np.ascontiguousarray(p.data.transpose(0, 3, 1, 2)) for p in (train, test))
    return _split("cifar10", list(train.classes), x, np.array(train.targets), seed, val=5000,
                  test=(test_x, np.array(test.targets)))  # fmt: skip


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


DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # grey with more than 8 bits: radiographs, depth maps, microscopy
ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"}


def image_files(path: Path) -> list[Path]:
    """Return the image files of a folder (or archive) with one sub-folder per class, class by class.

    Raises:
        InputError: the folder does not exist.
    """
    if is_archive(path):
        path = unpacked(path)
    if not is_folder(path):
        raise InputError(f"image folder {str(path)!r} does not exist")
    found = [f for c in _class_folders(path) for f in sorted(c.rglob("*")) if f.suffix.lower() in ENDINGS]
    return [f for f in found if f.is_file() and not f.name.startswith("._")]  # "._" files are metadata of macOS


def _class_folders(path: Path) -> list[Path]:
    return sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith((".", "__MACOSX")))


def _folder(path: Path, seed: int, size: int, name: str) -> Images:
    """Load a folder with one sub-folder per class, or an archive of one; every image is resized to `size` x `size`."""
    from PIL import Image, UnidentifiedImageError

    found = image_files(path)
    path = unpacked(path) if is_archive(path) else path
    classes = _class_folders(path)
    for c in classes:
        if not c.name.isprintable():  # printable names can also be encoded as UTF-8
            raise InputError(f"image folder {str(path)!r}: {c.name!r} cannot be the name of a class; rename it")
    place = {c.name: i for i, c in enumerate(classes)}
    files = [(f, place[f.relative_to(path).parts[0]]) for f in found]
    filled = sorted({classes[i].name for _, i in files})
    if not files:
        raise InputError(f"image folder {str(path)!r} has no images: expected one sub-folder of images per class")
    if len(filled) < 2:
        raise InputError(f"image folder {str(path)!r} has one class only ({filled[0]!r}); at least two are needed")
    label_of = {c: i for i, c in enumerate(filled)}
    images: list[np.ndarray] = []
    labels, colour, broken, deep = [], False, [], list[int]()
    for file, i in files:
        try:
            with Image.open(file) as opened:
                image: Image.Image = opened
                if image.width * image.height > FOLDER_LIMIT:
                    raise OSError(f"{image.width} x {image.height} pixels")
                colour |= image.mode not in ("1", "L", "LA", *DEEP)
                if image.mode in DEEP:
                    deep.append(len(images))
                    image = image.convert("F")
                    if not np.isfinite(np.asarray(image)).all():
                        raise ValueError("a pixel is not a finite number")
                else:
                    image = image.convert("RGB")
                images.append(np.asarray(image.resize((size, size), Image.Resampling.BILINEAR)))
                labels.append(label_of[classes[i].name])
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
            broken.append(str(file.relative_to(path)))
    if broken:
        shown = ", ".join(broken[:5]) + (f" and {len(broken) - 5} more" if len(broken) > 5 else "")
        raise InputError(f"{len(broken)} file(s) in {str(path)!r} are not readable images: {shown}")
    if len(images) < 20:
        raise InputError(f"image folder {str(path)!r} has {len(images)} images; at least 20 are needed")
    _to_eight_bits(images, deep)
    x = np.stack(images).transpose(0, 3, 1, 2)
    x = np.ascontiguousarray(x if colour else x[:, :1])
    held = max(4, round(0.15 * len(x)))
    return _split(name, filled, x, np.array(labels), seed, val=held, test=held)


def _to_eight_bits(images: list[np.ndarray], deep: list[int]) -> None:
    """Convert the images at `deep` to 8 bits on one scale: from 0 (or their darkest value) to their brightest."""
    if deep:
        low, high = min(0.0, *(float(images[i].min()) for i in deep)), max(float(images[i].max()) for i in deep)
        for i in deep:
            grey = np.round((images[i] - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
            images[i] = np.repeat(grey[..., None], 3, 2)


def _split(
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
