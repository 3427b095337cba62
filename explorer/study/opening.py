"""Opening a study: find its folder, verify every file, and read its space and devices. No torch."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from explorer.core.config import parse
from explorer.core.errors import InputError, unknown
from explorer.core.files import data_folder, expanded, home, is_file, read_json, sha256
from explorer.devices import DEVICES, LayerDevice, device_from
from explorer.generators import ENUMERATION
from explorer.spaces import SPACES, Space, TableSpace
from explorer.study.manifest import EVALUATIONS, FORMAT, NETWORKS, PREDICTOR, RECIPE, STUDY, Manifest
from explorer.study.study import Study

FILE_NAME = r"(devices/)?[A-Za-z0-9][A-Za-z0-9._-]*"


def open_study(study: str | Path | Study) -> Study:
    """Open a study.

    Args:
        study: a folder, the name of a study in `$EXPLORER_HOME`, or the name of a shipped study (tried in this order);
            an open `Study` is returned as it is.

    Raises:
        InputError: the study is unknown, incomplete, damaged or of another format; the message names the file.
    """
    if isinstance(study, Study):
        return study
    folder = find_study(study)
    source = str(folder / STUDY)
    manifest = _manifest(folder, source)
    _check_files(folder, manifest, source)
    space = _space(folder, manifest)
    opened = Study(folder, manifest, {name: _device(folder, manifest, name) for name in manifest.devices}, space)
    if not opened.targets:
        raise InputError(f"{source}: devices = {manifest.devices}: none of them is a target")
    return opened


def _manifest(folder: Path, source: str) -> Manifest:
    values = read_json(folder / STUDY)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        found = values.get("format") if isinstance(values, dict) else type(values).__name__
        raise InputError(f"{source}: format {found!r} is not supported; this version reads format {FORMAT})")
    manifest = parse(Manifest, values, source)
    if folder.parent in (home() / "studies", data_folder("studies")):  # there, a folder's name is the study's name
        return manifest.model_copy(update={"name": folder.name})
    return manifest


def _check_files(folder: Path, manifest: Manifest, source: str) -> None:
    """Check that every file exists and has the recorded hash, and that no required file is missing."""
    for name, digest in manifest.files.items():
        if not re.fullmatch(FILE_NAME, name):
            raise InputError(f"{source}: file name {name!r} leaves the study")
        path = folder / name
        if path.is_symlink() or path.parent.is_symlink():
            raise InputError(
                f"study {str(folder)!r}: {name} is a symbolic link; the files of a study must not be links"
            )
        if not path.is_file():
            raise InputError(f"study {str(folder)!r} is damaged: {name} is missing")
        if sha256(path) != digest:
            raise InputError(
                f"study {str(folder)!r} is damaged: {name} was changed (its hash is not the one in study.json)"
            )
    needed = [
        EVALUATIONS, NETWORKS if manifest.origin.enumerated else PREDICTOR,
        *(f"generator-{name}.onnx" for name in manifest.generators if name != ENUMERATION),
        *(f"devices/{name}.json" for name in manifest.devices if name not in DEVICES),
    ]  # fmt: skip
    for name in needed:
        if name not in manifest.files:
            raise InputError(f"{source}: files lacks {name!r}")


def _space(folder: Path, manifest: Manifest) -> Space:
    about = manifest.space
    if manifest.origin.enumerated:
        return TableSpace.from_json(read_json(folder / NETWORKS), str(folder / NETWORKS))
    space = SPACES[about.name]
    space = space.restrict(about.limits) if about.limits else space
    return space.for_images(about.channels, about.classes, about.size)


def _device(folder: Path, manifest: Manifest, name: str) -> LayerDevice:
    """Load a device from its file in the study; a device without a file is calculated from formulas."""
    file = f"devices/{name}.json"
    return device_from(read_json(folder / file), str(folder / file)) if file in manifest.files else DEVICES[name]()


def find_study(study: str | Path) -> Path:
    """Find the folder of a study by its name or path.

    Raises:
        InputError: there is no such study, or it is not finished.
    """
    path = expanded(study)
    if is_file(path / STUDY):
        return path
    if is_file(path / RECIPE):
        command = shlex.join(["explorer", "train", str(path / RECIPE), "--out", str(path), "--resume"])
        raise InputError(f"study {str(study)!r} is not finished; continue it with: {command}")
    name = str(study)
    if os.sep not in name and name not in ("", ".", ".."):
        for folder in (home() / "studies" / name, data_folder("studies") / name):
            if is_file(folder / STUDY):
                return folder
    raise unknown("study", study, [*study_names(), "a folder with study.json"])


def study_names() -> list[str]:
    """List the names of all studies in `$EXPLORER_HOME` and of the shipped ones."""
    found = [p.parent.name for root in (home() / "studies", data_folder("studies")) for p in root.glob(f"*/{STUDY}")]
    return sorted(set(found))
