"""Writing the last files of a study: searched fronts, fronts, card, and the manifest with the hash of every file."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from explorer.core.architecture import key_of
from explorer.core.files import sha256, write_json, write_text
from explorer.core.front import Front, nondominated, objectives
from explorer.devices import LayerDevice, is_target
from explorer.devices.population import costs_of
from explorer.evaluators import Predictor, Scored, Table
from explorer.evaluators.lowered import Change
from explorer.generators import ENUMERATION, by_accuracy, open_generator
from explorer.spaces import Enumerable, Space
from explorer.study.card import study_card
from explorer.study.manifest import CHANGE_INT8, STUDY, About, Manifest

ENUMERATED = 5000  # largest number of networks in a space for an exact reference point of the hypervolume


def write_searched(out: Path, front: Front, scored: Scored) -> None:
    """Write the searched front of one target: predicted accuracy and, if measured since, measured accuracy."""
    known = {codes.tobytes(): accuracy for codes, accuracy, source in zip(scored.codes, scored.accuracy, scored.source)
             if source != "predicted"}  # fmt: skip
    lines = [f"key,predicted,measured,{front.devices[0]}"]
    for codes, accuracy, cost in zip(front.codes, front.accuracy, front.costs[:, 0]):
        measured = f"{known[codes.tobytes()]:.6f}" if codes.tobytes() in known else ""
        lines.append(f"{key_of(front.space, codes)},{accuracy:.6f},{measured},{cost:.9g}")
    write_text(out / f"searched-{front.devices[0]}.csv", "\n".join(lines) + "\n")


def write_study(
    out: Path, space: Space, about: About, devices: Sequence[LayerDevice], scored: Scored,
    predictor: Predictor | Table, card: Callable[[Manifest], str] | None = None,
) -> None:  # fmt: skip
    """Write fronts and card, then the manifest with the hash of every file.

    Args:
        out: folder of the study, which already holds all other files.
        space, devices, scored, predictor: the study's search space, devices, evaluations and predictor.
        about: the manifest's fields that are known beforehand.
        card: manifest -> Markdown, for a study without trained generators; by default `study_card`.
    """
    costs = costs_of(space, devices, scored.codes)
    for column, device in enumerate(devices):
        if is_target(device):
            rows = nondominated(scored.accuracy, costs[:, [column]])
            lines = [f"key,accuracy,{device.name}"]
            lines += [f"{key_of(space, scored.codes[i])},{scored.accuracy[i]:.6f},{costs[i, column]:.9g}" for i in rows]
            write_text(out / f"front-{device.name}.csv", "\n".join(lines) + "\n")
    corner = _worst_corner(space, devices, predictor, objectives(scored.accuracy, costs))
    generators = [open_generator(space, path, predictor, devices) for path in sorted(out.glob("generator-*.onnx"))]
    ranked = by_accuracy(space, generators, devices)
    manifest = Manifest(
        **dict(about), devices=[device.name for device in devices], versions=versions(),
        generators=[generator.method for generator, _ in ranked] or [ENUMERATION],
        reference={d.name: [float(corner[0]), float(c)] for d, c in zip(devices, corner[1:])}, files={},
    )  # fmt: skip
    outside = [line for device in devices if (line := device.outside(space, scored.codes))]
    if card is None:
        assert isinstance(predictor, Predictor)
        change = out / CHANGE_INT8
        lowered = Change.open(change).added(predictor) if change.exists() else None
        text = study_card(manifest, devices, scored, predictor, ranked, outside, lowered)
    else:
        text = card(manifest)
    write_text(out / "README.md", text)
    files = sorted(
        p.relative_to(out).as_posix()
        for p in out.rglob("*")
        if p.is_file() and p.name not in (STUDY, "checkpoint.safetensors")
        and not any(part.startswith(".") for part in p.relative_to(out).parts)
    )  # fmt: skip
    whole = manifest.model_copy(update={"files": {name: sha256(out / name) for name in files}})
    write_json(out / STUDY, whole.model_dump())


def _worst_corner(
    space: Space, devices: Sequence[LayerDevice], predictor: Predictor | Table, points: np.ndarray
) -> np.ndarray:
    """Compute the hypervolume's reference point.

    It is the exact worst (error, costs...) of a small enumerable space, else 1.1 x the worst of the evaluated networks.
    """
    if not isinstance(space, Enumerable) or space.size > ENUMERATED:
        return np.asarray(1.1 * np.nanmax(points, axis=0))
    codes = space.enumerate()
    return np.asarray(np.nanmax(objectives(predictor.evaluate(codes), costs_of(space, devices, codes)), axis=0))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a study's numbers depend on."""
    names = ("pareto-explorer", "torch", "numpy", "onnxruntime", "lightning-fabric")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
