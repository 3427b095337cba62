"""CIFAR-10 as photographs: `$EXPLORER_CIFAR10`, a folder or an archive of train/CLASS and test/CLASS.

The ten classes and the two parts are given; pixels are taken as they are, 32 x 32, neither scaled nor cut.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from explorer.core.errors import InputError
from explorer.data.layouts import listing
from explorer.data.prepared import prepare

VARIABLE = "EXPLORER_CIFAR10"
SIZE, CROP = 32, 28  # a crop of 28 pixels is cut from photographs whose shorter side is scaled to 8/7 of it: not at all
LEAST = 10_000  # training photographs
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def cifar_photographs(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read CIFAR-10 from photographs.

    Args:
        path: a folder or an archive.

    Returns:
        "train" and "test" -> images (n, 3, 32, 32) uint8 and labels (n,).

    Raises:
        InputError: there is no such folder, or it does not hold these classes, parts and sizes.
    """
    try:
        found = listing(path)
    except InputError as error:
        raise InputError(f"{VARIABLE}={path}: {error}") from error
    classes = tuple(sorted({file.label for file in found.files}))
    parts = {file.split for file in found.files}
    if classes != CLASSES or parts != {"train", "test"}:
        raise InputError(
            f"{VARIABLE}={path}: expected train/CLASS and test/CLASS with the classes {', '.join(CLASSES)}; found "
            f"{found.layout}, classes {', '.join(classes[:12])}"
        )
    read = prepare(found, CROP, False)
    if read.channels != 3 or not (read.originals == SIZE).all():
        raise InputError(f"{VARIABLE}={path}: expected colour photographs of {SIZE} x {SIZE} pixels")
    files = [found.files[i] for i in read.kept]
    pixels = np.asarray(read.pixels).reshape(-1, SIZE, SIZE, 3)[read.starts // (SIZE * SIZE * 3)]
    labels = np.array([CLASSES.index(file.label) for file in files])
    split = np.array([file.split for file in files])
    if (split == "train").sum() < LEAST:
        raise InputError(
            f"{VARIABLE}={path}: {(split == 'train').sum():,} training photographs; at least {LEAST:,} are needed, of "
            "which 5,000 are for validation"
        )
    return {
        part: (np.ascontiguousarray(pixels[split == part].transpose(0, 3, 1, 2)), labels[split == part])
        for part in ("train", "test")
    }
