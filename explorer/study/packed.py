"""Photographs inside a study, so that it can be exported, evaluated and looked at where its data set is not.

They are the middle of each photograph at the study's size, as WebP in one archive: those that batch norm is
recalibrated on, and the first ones of the validation part. There are no test photographs in it.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.core.errors import InputError, first_line
from explorer.core.files import expanded, write_bytes
from explorer.study.manifest import PHOTOGRAPHS, DataOfStudy

if TYPE_CHECKING:
    from explorer.data import Images
    from explorer.study.study import Study

QUALITY = 70
FIRST = (1980, 1, 1, 0, 0, 0)  # the time of every file: equal photographs give an equal archive


def write_photographs(path: Path, images: Images, training: int, validation: int) -> list[int]:
    """Write photographs of a data set to an archive.

    Args:
        path: the archive.
        images: the data set.
        training, validation: number of photographs, at most.

    Returns:
        The numbers of photographs in it.
    """
    from PIL import Image

    from explorer.supernets.recalibration import rows_for_norms

    rows = rows_for_norms(len(images.train), training)
    parts = {"train": images.train.take(rows), "val": images.val.take(slice(0, validation))}
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, part in parts.items():
            for number, (image, label) in enumerate(zip(part.images.numpy(), part.labels.tolist())):
                file = io.BytesIO()
                pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
                Image.fromarray(np.ascontiguousarray(pixels)).save(file, "WEBP", quality=QUALITY, method=6)
                about = zipfile.ZipInfo(f"{name}/{number:05d}-{label:04d}.webp", FIRST)
                archive.writestr(about, file.getvalue())
    write_bytes(path, whole.getvalue())
    return [len(part) for part in parts.values()]


def save_photographs(study: Study, out: str | Path) -> Path:
    """Write the photographs of a study as a folder: train/CLASS/00001.webp, val/CLASS/00001.webp.

    Args:
        study: a study with photographs in it.
        out: a new folder.

    Raises:
        InputError: the study has none, or the folder exists.
    """
    about, out = study.manifest.data, expanded(out)
    if not about.packed:
        raise InputError(f"study {study.name!r} has no photographs in it")
    if out.exists():
        raise InputError(f"folder {str(out)!r} exists; name a new one")
    with zipfile.ZipFile(study.folder / PHOTOGRAPHS) as archive:
        for name in archive.namelist():
            part, label = _place(name, about)
            place = about.classes[label].replace("/", "-").replace("\\", "-").strip(". ") or f"class {label}"
            write_bytes(out / part / place / f"{Path(name).stem.partition('-')[0]}.webp", archive.read(name))
    return out


def _place(name: str, about: DataOfStudy) -> tuple[str, int]:
    """Return the part and the class of a photograph in the archive.

    Raises:
        InputError: the name is not one that is written here, or of no class of the study.
    """
    found = re.fullmatch(r"(train|val)/\d{5}-(\d{4,5})\.webp", name)
    if found is None or int(found[2]) >= len(about.classes):
        raise InputError(f"{name[:80]!r} is not a photograph of this study")
    return found[1], int(found[2])


def read_photographs(path: Path, about: DataOfStudy) -> Images:
    """Read a study's own photographs.

    Raises:
        InputError: the archive is damaged, or its photographs are not of the study's classes and size.
    """
    import torch
    from PIL import Image

    from explorer.data.datasets import Images, Split

    found: dict[str, tuple[list[np.ndarray], list[int]]] = {"train": ([], []), "val": ([], [])}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                part, label = _place(name, about)
                with Image.open(io.BytesIO(archive.read(name))) as image:
                    pixels = np.asarray(image.convert("L" if about.channels == 1 else "RGB"))
                if pixels.shape[:2] != (about.size, about.size):
                    raise ValueError(f"{name} has {pixels.shape[1]} x {pixels.shape[0]} pixels")
                found[part][0].append(pixels.reshape(about.size, about.size, about.channels))
                found[part][1].append(label)
        splits = [
            Split(torch.from_numpy(np.stack(x).transpose(0, 3, 1, 2).copy()), torch.tensor(y))
            for x, y in found.values()
        ]
    except Exception as error:  # archives and decoders raise whatever they like on damaged bytes
        raise InputError(f"the photographs in {str(path)!r} cannot be read: {first_line(error)}") from error
    train, val = splits
    none = val.take(slice(0, 0))
    return Images(about.name, tuple(about.classes), train, val, none, tuple(about.mean), tuple(about.std))
