"""Export: the chosen network as files that run without this package, checked before they are called done.

The ONNX graph takes images in [0, 1] at the study's native size; normalisation and padding are inside. It is compared
with the original network on real test images; where they differ, nothing is left behind.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from explorer.errors import InputError, require_torch, unknown
from explorer.files import write_json, write_text
from explorer.front import Candidate
from explorer.study import Study, fingerprint

FORMATS = ("onnx",)
TOLERANCE = 1e-4


class ExportError(RuntimeError):
    """The exported network is not the original one."""


@dataclass(frozen=True)
class ExportBundle:
    """What an export wrote.

    Attributes:
        folder: of all files.
        files: format -> path; "card" and "readme" beside it.
        check: {"images", "same_top1", "max_difference", "test_accuracy"}.
    """

    folder: Path
    files: dict[str, Path]
    check: dict[str, float]


def export(
    study: Study, candidate: Candidate, out: str | Path, formats: Sequence[str] = ("onnx",), images: int = 1000
) -> ExportBundle:
    """Write a network with inherited, recalibrated weights, and its card.

    Args:
        study: where weights and images are.
        candidate: what to export.
        out: an empty or new folder.
        formats: "onnx".
        images: test images of the check.

    Raises:
        InputError: unknown format, `out` not empty.
        ExportError: the check failed; nothing was written.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown("format", name, FORMATS)
    require_torch("exporting a network")
    out = Path(out).expanduser()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(f"out folder {str(out)!r} is not empty")
    network = study.network(candidate.architecture)
    stem = f"{study.name}-{candidate.key}"
    with tempfile.TemporaryDirectory(prefix="explorer-export-") as scratch:
        work = Path(scratch)
        path = work / f"{stem}.onnx"
        write_onnx(network, path, study, candidate)
        check = compare(path, network, study.images.test.take(slice(0, images)))
        facts = about(study, candidate, check)
        write_json(work / f"{stem}.json", facts)
        write_text(work / f"{stem}.md", readme(facts))
        try:
            out.mkdir(parents=True, exist_ok=True)
            for file in sorted(work.iterdir()):
                shutil.copyfile(file, out / file.name)
        except OSError as error:
            raise InputError(f"cannot write to {str(out)!r}: {error.strerror}") from error
    files = {"onnx": out / f"{stem}.onnx", "card": out / f"{stem}.json", "readme": out / f"{stem}.md"}
    return ExportBundle(out, files, check)


def write_onnx(network: Any, path: Path, study: Study, candidate: Candidate) -> None:
    """`images (n, c, h, w) -> logits (n, classes)`, n dynamic, metadata inside."""
    import logging

    import onnx
    import torch

    from explorer.evaluators.shared_weights import fused

    data = study.manifest.data
    example = torch.rand(2, data.channels, data.size, data.size)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            fused(_copy(network)), (example,), dynamo=True, input_names=["images"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=65536)},), verbose=False,
        )  # fmt: skip
    model = program.model_proto
    facts = {
        "study": study.name, "study_fingerprint": fingerprint(study), "architecture": candidate.key,
        "space": study.space.name, "classes": json.dumps(data.classes), "costs": json.dumps(dict(candidate.costs)),
        "images": f"float32 (n, {data.channels}, {data.size}, {data.size}) in [0, 1]",
    }  # fmt: skip
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _copy(network: Any) -> Any:
    import copy

    return copy.deepcopy(network).eval()


def compare(path: Path, network: Any, data: Any) -> dict[str, float]:
    """Run both on real images.

    Raises:
        ExportError: another top-1 on any image, or logits that differ by more than 1e-4.
    """
    from explorer.evaluators.shared_weights import logits
    from explorer.onnx_session import open_session
    from explorer.supernets.augment import to_float

    original = logits(network, data).numpy()
    run = open_session(str(path))
    batches = [to_float(x).numpy() for x in data.images.split(250)]
    exported = np.concatenate([run.run(None, {"images": x})[0] for x in batches])
    difference = float(np.abs(original - exported).max())
    same = float((original.argmax(1) == exported.argmax(1)).mean())
    if same < 1 or difference > TOLERANCE:
        raise ExportError(
            f"the exported network differs from the original: {1 - same:.2%} of {len(original)} test images get "
            f"another class, logits differ by up to {difference:.2g} (allowed {TOLERANCE:g}); nothing was written"
        )
    accuracy = float((exported.argmax(1) == data.labels.numpy()).mean())
    return {
        "images": len(original), "same_top1": same, "max_difference": difference, "test_accuracy": accuracy
    }  # fmt: skip


def about(study: Study, candidate: Candidate, check: dict[str, float]) -> dict[str, Any]:
    """The card as data."""
    data = study.manifest.data
    return {
        "study": study.name, "study_fingerprint": fingerprint(study), "architecture": candidate.key,
        "space": study.space.name, "decisions": candidate.architecture.values,
        "input": f"images: float32 (n, {data.channels}, {data.size}, {data.size}) in [0, 1]",
        "output": f"logits: float32 (n, {len(data.classes)})", "classes": data.classes,
        "accuracy_predicted": candidate.accuracy, "accuracy_interval": list(candidate.interval),
        "check": check,
        "costs": {
            name: {"value": value, "unit": study.devices[name].unit, "provenance": str(study.devices[name].provenance)}
            for name, value in candidate.costs.items()
        },
        "weights": "inherited from the study's supernet, batch norm recalibrated, no further training",
    }  # fmt: skip


def readme(facts: dict[str, Any]) -> str:
    """The card as Markdown."""
    check = facts["check"]
    lo, hi = facts["accuracy_interval"]
    costs = "\n".join(f"| {n} | {c['value']:.4g} {c['unit']} | {c['provenance']} |" for n, c in facts["costs"].items())
    return f"""# {facts["study"]}: {facts["architecture"]}

Input `{facts["input"]}`, output `{facts["output"]}`. Classes: {", ".join(facts["classes"])}.

| | |
|---|---|
| test accuracy, measured on {check["images"]:.0f} images | {check["test_accuracy"]:.2%} |
| validation accuracy, predicted | {facts["accuracy_predicted"]:.2%} ({lo:.2%} to {hi:.2%}) |
| same class as the original network | {check["same_top1"]:.0%} of these images |
| largest difference of logits | {check["max_difference"]:.1e} |

| cost | value | provenance |
|---|---|---|
{costs}

Weights: {facts["weights"]}.
"""
