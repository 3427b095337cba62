"""The weights that a study's supernet starts from: a published network, a checkpoint, or another study. Needs torch."""

from __future__ import annotations

import importlib.metadata
import os
from dataclasses import replace
from pathlib import Path

import torch

from explorer.core.errors import InputError, MissingExtra
from explorer.core.files import is_folder, read_limited
from explorer.data import Images
from explorer.spaces import MobileSpace, Space
from explorer.study.opening import open_study
from explorer.supernets import Supernet, make_supernet
from explorer.supernets.ofa_checkpoint import classes_of, load_ofa
from explorer.supernets.sources import is_source, pretrained, source_of

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and std that all published networks were trained with


def check_start(start: str, space: Space) -> str:
    """Return what a start is, in words, for the study's card; "" for fresh weights.

    Raises:
        InputError: it is unknown, or has the stages of another space; found before any image is read.
    """
    if not start:
        return ""
    if is_source(start):
        source = source_of(start)
        if source.space != space.name:
            raise InputError(
                f"start = {start!r} has the stages of space {source.space!r}, not of {space.name!r}; choose that space"
            )
        return source.title
    if _is_file(start):
        if not isinstance(space, MobileSpace):
            raise InputError(f"start = {start!r}: space {space.name!r} is not of the mobile family")
        return f"the checkpoint {os.path.basename(start)}"
    study = open_study(start)
    if not study.origin.has_weights:
        raise InputError(f"start = {start!r}: that study has no trained weights")
    if study.space.name != space.name or study.space.limits != space.limits:
        raise InputError(
            f"start = {start!r}: that study has space {study.space.name!r}, narrowed to "
            f"{dict(study.space.limits) or 'nothing'}; the space here is {space.name!r}, narrowed to "
            f"{dict(space.limits) or 'nothing'}; they must be the same"
        )
    return f"the study {study.name}"


def for_start(images: Images, start: str) -> Images:
    """Return the images as the weights expect them: grey ones in three channels where those are for colour."""
    if not start:
        return images
    published = is_source(start) or _is_file(start)
    return images.coloured() if published or open_study(start).space.channels == 3 else images


def started(start: str, space: Space, images: Images, seed: int) -> Supernet | None:
    """Create the supernet that a training starts from; None for fresh weights.

    Args:
        start: see `Recipe.start`.
        space: configured for the images.
        images: their classes decide whether a study's classifier is kept.
        seed: seed of weights that the source does not have.
    """
    check_start(start, space)
    if not start:
        return None
    if is_source(start):
        return pretrained(start, space, seed)
    if _is_file(start):
        assert isinstance(space, MobileSpace)
        whole = load_ofa(start, replace(space, classes=classes_of(start)), *IMAGENET)
        return transplanted(whole, space, seed, classifier=False)
    study = open_study(start)
    return transplanted(study.supernet, space, seed, classifier=study.manifest.data.classes == list(images.classes))


def transplanted(source: Supernet, space: Space, seed: int, classifier: bool) -> Supernet:
    """Create a supernet of a space with the weights of another one of the same shape, with a new classifier or not.

    Raises:
        InputError: their images have another number of channels.
    """
    if source.space.channels != space.channels:
        raise InputError(f"the weights are for images of {source.space.channels} channel(s), not of {space.channels}")
    p = source.preprocess
    made = make_supernet(space, p.mean.flatten().tolist(), p.std.flatten().tolist(), seed)
    own = {n: t for n, t in source.state_dict().items() if classifier or not n.startswith("blocks.classifier.")}
    with torch.no_grad():
        made.load_state_dict(made.state_dict() | own)
    return made.eval()


APACHE = Path(__file__).parent.parent / "supernets" / "apache-2.0.txt"
NOTICE = """The weights in supernet.safetensors derive from {title}, pip package {package}.
They were changed: embedded into a supernet, given another classifier, and trained on the images that README.md names.
The licence of the original weights is in LICENSE.
"""


def licence_of(start: str) -> dict[str, str]:
    """Return file name -> text of the licence and the notice that weights bring along; {} where there are none.

    Raises:
        MissingExtra: the package with the weights is not installed.
    """
    if not start or _is_file(start):
        return {}
    if is_source(start):
        source = source_of(start)
        try:
            files = importlib.metadata.distribution(source.package).files or []
        except importlib.metadata.PackageNotFoundError as error:
            raise MissingExtra(
                f"start = {start!r} needs the package {source.package}: pip install 'pareto-explorer[pretrained]' "
                f"{source.package}"
            ) from error
        texts = [f.read_text("utf-8").strip() for f in files if f.name.upper().startswith("LICENSE")]
        if "Apache-2.0" in source.title:  # the package has a short notice that refers to the whole text
            texts.append(APACHE.read_text("utf-8").strip())
        return {
            "LICENSE": "\n\n\n".join(texts) + "\n",
            "NOTICE": NOTICE.format(title=source.title, package=source.package),
        }
    folder = open_study(start).folder
    return {name: read_limited(folder / name) for name in ("LICENSE", "NOTICE") if (folder / name).is_file()}


def _is_file(start: str) -> bool:
    return os.path.isfile(start) and not is_folder(start)
