"""`explorer answers` and `classify`: what networks of a study say about single photographs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from explorer.cli.terminal import Json, Moved, Precision, StudyName, answer, progress
from explorer.core.errors import InputError
from explorer.core.files import expanded, home, is_file

Keys = Annotated[list[str], typer.Option("--architecture", help="The key of an architecture; repeatable.")]


def answers(
    study: StudyName,
    architecture: Keys,
    out: Annotated[Path, typer.Option(help="The file that is written, such as answers.npz.")],
    split: Annotated[str, typer.Option(help="Images to classify: val or test.")] = "val",
    data: Moved = None,
    precision: Precision = "fp32",
    as_json: Json = False,
) -> None:
    """Write what networks say about every image of a split, with small pictures, as a file of arrays."""
    from explorer.study import open_study
    from explorer.study.answers import answers_of

    opened = open_study(study).with_images(data)
    file = expanded(out)
    if file.suffix != ".npz" or not file.parent.is_dir():
        raise InputError(f"out {str(out)!r}: expected the name of an .npz file in a folder that exists")
    found = answers_of(opened, [opened.architecture(key) for key in architecture], split, precision)
    found.save(file)
    networks = {key: found.recognised(key).accuracy for key in found.keys}
    result = {"file": str(file), "images": len(found.labels), "split": split, "networks": networks}
    lines = [f"{key}: {accuracy:.2%} of {len(found.labels):,} {split} images" for key, accuracy in networks.items()]
    answer(result, as_json, "\n".join([*lines, str(file)]))


def classify(
    study: StudyName,
    photo: Annotated[Path, typer.Argument(help="A photograph.")],
    architecture: Keys,
    data: Moved = None,
    as_json: Json = False,
) -> None:
    """Classify a photograph with exported networks; each is exported once, checked, and kept in your own folder."""
    from explorer.exports import export
    from explorer.study import open_study
    from explorer.study.study import fingerprint

    opened, path = open_study(study).with_images(data), expanded(photo).resolve()
    if not opened.manifest.data.photographs:
        raise InputError(f"study {opened.name!r} was not trained on photographs; choose one that was, such as clothing")
    if not is_file(path):
        raise InputError(f"photo {str(photo)!r} is not a file")
    said = {}
    for key in progress(dict.fromkeys(architecture), len(architecture), "networks exported"):
        network = opened.architecture(key)
        place = home() / "exported" / f"{opened.name}-{fingerprint(opened)[:12]}-{network.key}"
        if not is_file(place / "predict.py"):
            export(opened, opened.candidate(network), place, ["onnx"])
        command = [sys.executable, str(place / "predict.py"), str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"photo {str(photo)!r} cannot be classified: {(done.stderr.splitlines() or ['?'])[-1]}")
        said[network.key] = done.stdout.strip().removeprefix(f"{path}: ")
    answer({"photo": str(photo), "networks": said}, as_json, "\n".join(f"{key}: {what}" for key, what in said.items()))
