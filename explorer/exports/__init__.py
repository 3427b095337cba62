"""Export: write a network to files that run without this package, and verify them.

Every written file is opened again and compared with the original network on real test images. If a file of an exact
format gives different results, the export fails and no file is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from explorer.core.errors import require_torch, unknown
from explorer.core.files import empty_folder, hand_over, scratch, write_json, write_text
from explorer.core.front import Candidate
from explorer.core.protocols import Progress, silent
from explorer.core.registry import Registry
from explorer.core.steps import has_steps
from explorer.devices.quantities import INT8
from explorer.exports.card import facts_of, notes_of, readme
from explorer.exports.check import ExportError, Run, compared, refuse_other
from explorer.exports.onnx_files import RUNTIME, run_onnx, write_int8, write_onnx
from explorer.exports.original import Original, original_of
from explorer.exports.predicting import program
from explorer.exports.tflite_files import on_a_microcontroller, run_tflite, write_tflite
from explorer.exports.torch_files import run_program, run_source, write_program, write_source
from explorer.spaces import OnceForAll
from explorer.study import Study

__all__ = ["FORMATS", "ExportBundle", "ExportError", "export", "formats_of", "usual_formats"]


@dataclass(frozen=True)
class Format:
    """A file format of exported networks.

    Attributes:
        title: name of the format for display.
        suffix: suffix of the file name.
        write: `write(original, path)` writes the file.
        run: `run(path)` opens the file and returns a function that runs it; None if the file cannot be run.
        exact: whether the file must give the same logits as the original network.
        timed: whether the file's latency is measured.
        possible: tells whether a study's networks can be written in this format.
        untrained: whether this format is among the defaults for a study without weights.
        needs: what opens the file, with its least version.
        beside: name of the format whose latency this one is compared with.
        more: `more(original, path)` returns further facts of a written file for the card.
    """

    title: str
    suffix: str
    write: Callable[[Original, Path], None]
    run: Callable[[Path], Run] | None = None
    exact: bool = True
    timed: bool = False
    possible: Callable[[Study], bool] = lambda study: True
    untrained: bool = False
    needs: str = ""
    beside: str = ""
    more: Callable[[Original, Path], dict[str, Any]] | None = None


def _write_ofa(original: Original, path: Path) -> None:
    space = original.study.space
    assert isinstance(space, OnceForAll)
    write_json(path, space.to_ofa(original.candidate.architecture))


FORMATS: Registry[Format] = Registry("format", "explorer.exports")
FORMATS.register("onnx", Format("ONNX", ".onnx", write_onnx, run_onnx, timed=True, untrained=True, needs=RUNTIME))
FORMATS.register("int8", Format(
    "ONNX, int8", ".int8.onnx", write_int8, run_onnx, exact=False, timed=True,
    possible=lambda study: study.origin.has_weights, needs=RUNTIME, beside="onnx",
))  # fmt: skip
FORMATS.register("tflite", Format(
    "LiteRT and TFLite-Micro, int8", ".tflite", write_tflite, run_tflite, exact=False, more=on_a_microcontroller,
    possible=lambda study: study.origin.has_weights and has_steps(study.space.layers([0] * len(study.space.decisions))),
    needs="LiteRT, or TFLite-Micro",
))  # fmt: skip
FORMATS.register("torch", Format(
    "torch.export", ".pt2", write_program, run_program, untrained=True, needs="the torch that wrote it, or newer",
))  # fmt: skip
FORMATS.register("source", Format(
    "PyTorch source", ".py", write_source, run_source, possible=lambda study: not study.origin.enumerated,
    needs="Python 3.10 or newer, torch 2, safetensors",
))  # fmt: skip
FORMATS.register("ofa", Format(
    "once-for-all JSON", ".ofa.json", _write_ofa, possible=lambda study: isinstance(study.space, OnceForAll),
    untrained=True,
))  # fmt: skip


@dataclass(frozen=True)
class ExportBundle:
    """The result of an export.

    Attributes:
        folder: folder with all files.
        files: format -> path, plus "card", "readme", for source "source_weights", and for the ONNX file of a study of
            photographs "predict", a program that classifies them.
        check: "images", "same_top1", "max_difference" and, if there are test images, "test_accuracy" (if there are only
            validation images, "val_accuracy"); the worst values
            over the exact formats.
        formats: format -> measured properties: bytes; latency_ms, spread_ms and hardware; same_top1, max_difference,
            test_accuracy and drop; needs; and, for a format that is compared with another, `speedup`: the other's
            latency over its own, both timed in the same rounds.
        notes: lines that a user should know before using the files.
    """

    folder: Path
    files: dict[str, Path]
    check: dict[str, float]
    formats: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def usual_formats(study: Study, precision: str) -> list[str]:
    """List the formats that are written where none is named; in eight bits, the float32 network is written, too."""
    if not study.origin.has_weights:
        return [name for name in formats_of(study) if FORMATS[name].untrained]
    return ["onnx", "int8"] if precision == INT8 else ["onnx"]


def formats_of(study: Study) -> list[str]:
    """List the formats that a study's networks can be exported to."""
    return [name for name, form in FORMATS.items() if form.possible(study)]


def export(
    study: Study, candidate: Candidate, out: str | Path, formats: Sequence[str] | None = None, images: int = 1000,
    weights: str | Path | None = None, fine_tune: int = 0, progress: Progress = silent,
) -> ExportBundle:  # fmt: skip
    """Write a network and its card to a folder, and verify the files against the original network.

    Args:
        study: the study with weights and images; a study without weights (published accuracies) gives an untrained
            network.
        candidate: the network to export.
        out: an empty or new folder.
        formats: "onnx"; "int8" (ONNX, quantised on training images); "tflite" (int8, for phones and
            microcontrollers); "torch" (a `.pt2` of torch.export); "source"
            (plain PyTorch source with weights as safetensors); "ofa" (once-for-all's dict as JSON). The default is
            ONNX; for a study without weights it is onnx, torch and, if the space has it, ofa.
        images: number of test images for the check.
        weights: for a study without weights, path of a checkpoint of once-for-all's supernet, from which the network's
            weights are sliced.
        fine_tune: epochs of fine-tuning on the training images before the export; the card shows the gain.
        progress: reports the fine-tuning.

    Raises:
        InputError: unknown format, `out` is not empty, or a checkpoint that does not fit.
        ExportError: the check failed; nothing was written.
        MissingExtra: torch is not installed.
    """
    possible, formats = formats_of(study), list(formats or usual_formats(study, candidate.precision))
    for name in formats:
        if name not in possible:
            raise unknown("format", name, possible)
    require_torch("exporting a network")
    out = empty_folder(out)
    original = original_of(study, candidate, weights, images, fine_tune, progress)
    with scratch("explorer-export-") as work:
        files = {name: _file(original, name, FORMATS[name].suffix) for name in formats}
        found = {name: _written(original, FORMATS[name], work / files[name]) for name in formats}
        _time(original, {name: work / files[name] for name in formats}, found)
        check = _check(original, {n: f for n, f in found.items() if FORMATS[n].exact and "same_top1" in f})
        facts = facts_of(original, check, found)
        if "source" in files:
            files["source_weights"] = Path(files["source"]).with_suffix(".safetensors").name
        if "onnx" in files and study.manifest.data.photographs:
            files["predict"] = "predict.py"
            write_text(work / "predict.py", program(study.manifest.data, files["onnx"], "predict.py"))
        files |= {"card": f"{original.stem}.json", "readme": f"{original.stem}.md"}
        write_json(work / files["card"], facts)
        write_text(work / files["readme"], readme(facts))
        hand_over(work, out)
    return ExportBundle(out, {name: out / file for name, file in files.items()}, check, found, notes_of(facts))


def _file(original: Original, name: str, suffix: str) -> str:
    """Return the file name of a format; the name of Python source is made importable."""
    if name != "source":
        return original.stem + suffix
    stem = original.stem.replace("-", "_").replace(".", "_")
    return (stem if stem.isidentifier() else f"network_{stem}") + suffix


def _written(original: Original, form: Format, path: Path) -> dict[str, Any]:
    """Write one format, open it again and compare it with the original."""
    form.write(original, path)
    weights = path.with_suffix(".safetensors")
    found: dict[str, Any] = {"bytes": path.stat().st_size + (weights.stat().st_size if weights.exists() else 0)}
    found |= {"needs": form.needs} if form.needs else {}
    if form.run is not None:
        found |= compared(form.run(path), original.network, original.images, original.labels, original.split)
        if form.exact:
            refuse_other(found, len(original.images))
    return found | (form.more(original, path) if form.more else {})


def _time(original: Original, paths: dict[str, Path], found: dict[str, dict[str, Any]]) -> None:
    """Time all formats that can be timed in the same rounds, so that their latencies can be compared."""
    from explorer.devices.measure import measure_files

    timed = {name: path for name, path in paths.items() if FORMATS[name].timed}
    with scratch("explorer-timed-") as folder:
        for other in {FORMATS[name].beside for name in timed} - {"", *timed}:
            timed[other] = folder / f"other{FORMATS[other].suffix}"
            FORMATS[other].write(original, timed[other])
        measured = dict(zip(timed, measure_files(list(timed.values()))))
    for name in set(measured) & set(found):
        found[name] |= {k: v for k, v in measured[name].items() if k in ("latency_ms", "spread_ms", "hardware")}
        if other := FORMATS[name].beside:
            found[name]["speedup"] = measured[other]["latency_ms"] / measured[name]["latency_ms"]


def _check(original: Original, exact: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Combine the checks of the exact formats to their worst values."""
    check: dict[str, float] = {"images": len(original.images)}
    if exact:
        check["same_top1"] = min(f["same_top1"] for f in exact.values())
        check["max_difference"] = max(f["max_difference"] for f in exact.values())
        if original.labels is not None:
            name = f"{original.split}_accuracy"
            check[name] = min(f[name] for f in exact.values())
    return check
