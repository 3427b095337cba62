"""Folders as the first edition read them: squashed to a square, split without regard to class.

Only studies that were trained so are opened with it: other pixels or parts would not be those of their training.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import is_folder
from explorer.data.archives import is_archive, unpacked
from explorer.data.datasets import Images, shuffled
from explorer.data.reading import DEEP, LIMIT

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


def load_squashed(path: Path, seed: int, size: int, name: str) -> Images:
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
                if image.width * image.height > LIMIT:
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
    return shuffled(name, filled, x, np.array(labels), seed, val=held, test=held)


def _to_eight_bits(images: list[np.ndarray], deep: list[int]) -> None:
    """Convert the images at `deep` to 8 bits on one scale: from 0 (or their darkest value) to their brightest."""
    if deep:
        low, high = min(0.0, *(float(images[i].min()) for i in deep)), max(float(images[i].max()) for i in deep)
        for i in deep:
            grey = np.round((images[i] - low) * (255 / max(high - low, 1e-12))).astype(np.uint8)
            images[i] = np.repeat(grey[..., None], 3, 2)
