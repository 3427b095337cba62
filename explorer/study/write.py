"""The last stage of a study: searched fronts, fronts, card, and the manifest with the hash of every file."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from explorer.core.architecture import key_of
from explorer.core.files import sha256, write_json, write_text
from explorer.core.front import Front, nondominated, objectives
from explorer.devices.population import costs_of
from explorer.evaluators import Predictor, Scored
from explorer.generators import ENUMERATION, by_accuracy, open_generator
from explorer.study.card import card

ENUMERABLE = 5000


def write_searched(out: Path, front: Front, scored: Scored) -> None:
    """One target's searched front: predicted accuracy, and what was measured of it since."""
    known = {codes.tobytes(): accuracy for codes, accuracy, source in zip(scored.codes, scored.accuracy, scored.source)
             if source != "predicted"}  # fmt: skip
    lines = [f"key,predicted,measured,{front.devices[0]}"]
    for codes, accuracy, cost in zip(front.codes, front.accuracy, front.costs[:, 0]):
        measured = f"{known[codes.tobytes()]:.6f}" if codes.tobytes() in known else ""
        lines.append(f"{key_of(front.space, codes)},{accuracy:.6f},{measured},{cost:.6f}")
    write_text(out / f"searched-{front.devices[0]}.csv", "\n".join(lines) + "\n")


def seal(
    out: Path, space: Any, manifest: Mapping[str, Any], devices: Sequence[Any], scored: Scored, predictor: Any,
    text: Callable[[Mapping[str, Any]], str] | None = None,
) -> None:  # fmt: skip
    """Write fronts and card, then the manifest with the hash of every file.

    Args:
        out: folder of the study; everything else is in it.
        space, devices, scored, predictor: of the study.
        manifest: what it says of itself, without what is found out here.
        text: manifest -> the card, of a study that has no generators of its own.
    """
    costs = costs_of(space, devices, scored.codes)
    for column, device in enumerate(devices):
        if device.unit == "ms":
            rows = nondominated(scored.accuracy, costs[:, [column]])
            lines = [f"key,accuracy,{device.name}"]
            lines += [f"{key_of(space, scored.codes[i])},{scored.accuracy[i]:.6f},{costs[i, column]:.6f}" for i in rows]
            write_text(out / f"front-{device.name}.csv", "\n".join(lines) + "\n")
    corner = _worst_corner(space, devices, predictor, objectives(scored.accuracy, costs))
    generators = [open_generator(space, path, predictor, devices) for path in sorted(out.glob("generator-*.onnx"))]
    ranked = by_accuracy(space, generators, devices)
    complete = dict(manifest) | {
        "devices": [device.name for device in devices], "versions": versions(),
        "generators": [generator.method for generator, _ in ranked] or [ENUMERATION],
        "reference": {d.name: [float(corner[0]), float(c)] for d, c in zip(devices, corner[1:])},
    }  # fmt: skip
    outside = [line for device in devices if (line := device.outside(space, scored.codes))]
    about = text(complete) if text else card(complete, devices, scored, predictor, ranked, outside)
    write_text(out / "README.md", about)
    files = sorted(
        p.relative_to(out).as_posix()
        for p in out.rglob("*")
        if p.is_file() and p.name not in ("study.json", "checkpoint.safetensors")
        and not any(part.startswith(".") for part in p.relative_to(out).parts)
    )  # fmt: skip
    write_json(out / "study.json", complete | {"files": {name: sha256(out / name) for name in files}})


def _worst_corner(space: Any, devices: Sequence[Any], predictor: Predictor, points: np.ndarray) -> np.ndarray:
    """The hypervolume's reference: exact where a space can be enumerated, else 1.1 x the worst of the sample."""
    if getattr(space, "size", ENUMERABLE + 1) > ENUMERABLE:
        return np.asarray(1.1 * points.max(0))
    codes = space.enumerate()
    return np.asarray(objectives(predictor.evaluate(codes), costs_of(space, devices, codes)).max(0))


def versions() -> dict[str, str]:
    """Versions of what a study's numbers depend on."""
    names = ("pareto-explorer", "torch", "numpy", "onnxruntime", "lightning-fabric")
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}
