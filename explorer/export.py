"""Export: the chosen network as files that run without this package, checked before they are called done.

The ONNX graph takes images in [0, 1] at the study's native size; normalisation and padding are inside. It is compared
with the original network on real test images; where they differ, nothing is left behind.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
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

FORMATS = ("onnx", "torch", "ofa")
TOLERANCE = 1e-4
INHERITED = "inherited from the study's supernet, batch norm recalibrated, no further training"
UNTRAINED = "untrained: random weights in the architecture's shape; train it, or give a checkpoint with --weights"
CHECKPOINT = "sliced from the checkpoint {0!r} of the published supernet, batch norm as it is there"


class ExportError(RuntimeError):
    """The exported network is not the original one."""


@dataclass(frozen=True)
class ExportBundle:
    """What an export wrote.

    Attributes:
        folder: of all files.
        files: format -> path; "card" and "readme" beside it.
        check: {"images", "same_top1", "max_difference"}, and "test_accuracy" where there are test images.
    """

    folder: Path
    files: dict[str, Path]
    check: dict[str, float]


@dataclass(frozen=True)
class _Source:
    """A network to be exported: `weights` says where its weights come from, `prefix` says so in file names."""

    network: Any
    weights: str
    prefix: str = ""


def export(
    study: Study, candidate: Candidate, out: str | Path, formats: Sequence[str] | None = None, images: int = 1000,
    weights: str | Path | None = None,
) -> ExportBundle:  # fmt: skip
    """Write a network and its card, checked against the original.

    Args:
        study: where weights and images are; one without (published accuracies) gives an untrained network.
        candidate: what to export.
        out: an empty or new folder.
        formats: "onnx"; "torch" (a `.pt2` of torch.export, which runs without this package); "ofa" (once-for-all's
            dict as JSON). ONNX alone unless named; of a study without weights all three.
        images: test images of the check.
        weights: for a study without weights, a checkpoint of once-for-all's supernet, which is sliced.

    Raises:
        InputError: unknown format, `out` not empty, a checkpoint that does not fit.
        ExportError: the check failed; nothing was written.
    """
    formats = list(formats or (("onnx",) if study.has_weights else FORMATS))
    for name in formats:
        if name not in FORMATS or (name == "ofa" and not hasattr(study.space, "to_ofa")):
            raise unknown("format", name, FORMATS)
    require_torch("exporting a network")
    out = Path(out).expanduser()
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(f"out folder {str(out)!r} is not empty")
    source = _source(study, candidate, weights)
    stem = f"{source.prefix}{study.name}-{candidate.key}"
    files = {"onnx": f"{stem}.onnx", "torch": f"{stem}.pt2", "ofa": f"{stem}.ofa.json"}
    files = {name: files[name] for name in formats} | {"card": f"{stem}.json", "readme": f"{stem}.md"}
    with tempfile.TemporaryDirectory(prefix="explorer-export-") as scratch:
        work = Path(scratch)
        x, labels = _check_images(study, images)
        check: dict[str, float] = {"images": len(x)}
        if "onnx" in files:
            write_onnx(source, work / files["onnx"], study, candidate)
            check |= compare(_run_onnx(work / files["onnx"]), source.network, x, labels)
        if "torch" in files:
            write_torch(source, work / files["torch"], study)
            check |= compare(_run_torch(work / files["torch"]), source.network, x, labels)
        if "ofa" in files:
            write_json(work / files["ofa"], study.space.to_ofa(candidate.architecture))
        facts = about(study, candidate, check, source.weights)
        write_json(work / files["card"], facts)
        write_text(work / files["readme"], readme(facts))
        try:
            out.mkdir(parents=True, exist_ok=True)
            for file in sorted(work.iterdir()):
                shutil.copyfile(file, out / file.name)
        except OSError as error:
            raise InputError(f"cannot write to {str(out)!r}: {error.strerror}") from error
    return ExportBundle(out, {name: out / file for name, file in files.items()}, check)


def _source(study: Study, candidate: Candidate, weights: str | Path | None) -> _Source:
    if study.has_weights:
        if weights is not None:
            raise InputError(f"weights {str(weights)!r}: study {study.name!r} has weights of its own")
        return _Source(study.network(candidate.architecture), INHERITED)
    data = study.manifest.data
    if weights is not None:
        from explorer.supernets.ofa_checkpoint import load_ofa

        supernet = load_ofa(weights, study.space, data.mean, data.std)
        return _Source(supernet.subnet(candidate.architecture), CHECKPOINT.format(Path(weights).name))
    from explorer.supernets import build

    layers = study.space.layers(candidate.architecture)
    network = build(layers, data.mean, data.std, seed=study.manifest.seed)
    _settle(network, _check_images(study, 0)[0])
    return _Source(network.eval(), UNTRAINED, "untrained-")


def _settle(network: Any, x: Any) -> None:
    """Give the batch norms of a network the statistics of some images: random weights alone would let signals vanish."""
    import torch

    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        network.train()(x)
    for norm in norms:
        norm.momentum = 0.1


def _check_images(study: Study, count: int) -> tuple[Any, Any]:
    """(n, c, h, w) float32 in [0, 1] and labels: test images; without any, smooth random patterns and no labels."""
    import torch

    from explorer.supernets.augment import to_float

    if study.has_weights:
        data = study.images.test.take(slice(0, count))
        return to_float(data.images), data.labels
    about = study.manifest.data
    coarse = torch.rand(16, about.channels, 7, 7, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (about.size, about.size), mode="bicubic").clamp(0, 1), None


def write_onnx(source: _Source, path: Path, study: Study, candidate: Candidate) -> None:
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
            fused(_copy(source.network)), (example,), dynamo=True, input_names=["images"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=65536)},), verbose=False,
        )  # fmt: skip
    model = program.model_proto
    facts = {
        "study": study.name, "study_fingerprint": fingerprint(study), "architecture": candidate.key,
        "space": study.space.name, "classes": json.dumps(data.classes), "costs": json.dumps(dict(candidate.costs)), "weights": source.weights,
        "images": f"float32 (n, {data.channels}, {data.size}, {data.size}) in [0, 1]",
    }  # fmt: skip
    onnx.helper.set_model_props(model, facts)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def _copy(network: Any) -> Any:
    import copy

    return copy.deepcopy(network).eval()


def write_torch(source: _Source, path: Path, study: Study) -> None:
    """The same as a program of torch.export: plain operators, no class of this package."""
    import torch

    from explorer.evaluators.shared_weights import fused

    data = study.manifest.data
    example = torch.rand(2, data.channels, data.size, data.size)
    shapes = ({0: torch.export.Dim("n", min=1, max=65536)},)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(fused(_copy(source.network)), (example,), dynamic_shapes=shapes)
        torch.export.save(program, path, extra_files={"weights.txt": source.weights})


Run = Callable[[Any], np.ndarray]  # (n, c, h, w) images -> (n, classes)


def _run_onnx(path: Path) -> Run:
    from explorer.onnx_session import open_session

    session = open_session(str(path))
    return lambda x: np.asarray(session.run(None, {"images": x.numpy()})[0])


def _run_torch(path: Path) -> Run:
    import torch

    module = torch.export.load(path).module()

    def run(x: Any) -> np.ndarray:
        with torch.no_grad():
            out: np.ndarray = module(x).numpy()
        return out

    return run


def compare(exported: Run, network: Any, x: Any, labels: Any) -> dict[str, float]:
    """Run the exported and the original network on the same images.

    Args:
        exported: what was written, opened again.
        network: what it was made from.
        x: (n, c, h, w) float32 in [0, 1].
        labels: (n,), None where there are none.

    Raises:
        ExportError: another top-1 on any image, or logits that differ by more than 1e-4.
    """
    import torch

    with torch.inference_mode():
        original = torch.cat([network(batch) for batch in x.split(250)]).numpy()
    logits = np.concatenate([exported(batch) for batch in x.split(250)])
    difference = float(np.abs(original - logits).max())
    same = float((original.argmax(1) == logits.argmax(1)).mean())
    if same < 1 or difference > TOLERANCE:
        raise ExportError(
            f"the exported network differs from the original: {1 - same:.2%} of {len(original)} images get another "
            f"class, logits differ by up to {difference:.2g} (allowed {TOLERANCE:g}); nothing was written"
        )
    check = {"same_top1": same, "max_difference": difference}
    return check if labels is None else check | {"test_accuracy": float((logits.argmax(1) == labels.numpy()).mean())}


def about(study: Study, candidate: Candidate, check: dict[str, float], weights: str) -> dict[str, Any]:
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
        "weights": weights,
    }  # fmt: skip


def readme(facts: dict[str, Any]) -> str:
    """The card as Markdown."""
    check, classes = facts["check"], facts["classes"]
    lo, hi = facts["accuracy_interval"]
    costs = "\n".join(f"| {n} | {c['value']:.4g} {c['unit']} | {c['provenance']} |" for n, c in facts["costs"].items())
    shown = ", ".join(classes) if len(classes) <= 100 else f"{len(classes)} classes"
    rows = [
        f"| accuracy of the trained architecture, predicted | {facts['accuracy_predicted']:.2%} ({lo:.2%} to {hi:.2%}) |"
    ]
    if "test_accuracy" in check:
        rows.insert(0, f"| test accuracy, measured on {check['images']:.0f} images | {check['test_accuracy']:.2%} |")
    if "same_top1" in check:
        images = "test images" if "test_accuracy" in check else "random patterns"
        rows.append(
            f"| same class as the original network | {check['same_top1']:.0%} of {check['images']:.0f} {images} |"
        )
        rows.append(f"| largest difference of logits | {check['max_difference']:.1e} |")
    table = "\n".join(rows)
    return f"""# {facts["study"]}: {facts["architecture"]}

Weights: {facts["weights"]}.

Input `{facts["input"]}`, output `{facts["output"]}`. Classes: {shown}.

| | |
|---|---|
{table}

| cost | value | provenance |
|---|---|---|
{costs}
"""
