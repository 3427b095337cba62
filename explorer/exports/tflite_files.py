"""Export to `.tflite` in eight bits, for LiteRT (phones) and TFLite-Micro (microcontrollers)."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.core.eight_bits import HIGH, LOW
from explorer.core.errors import MissingExtra
from explorer.core.files import write_bytes
from explorer.core.tflite_eight_bits import tflite_bytes
from explorer.devices.ethos_u import CHIPS, CannotCompile, estimate
from explorer.devices.file_size import size_of
from explorer.devices.memory import offsets
from explorer.exports.check import ExportError, Run
from explorer.exports.original import Original
from explorer.exports.predicting import preprocessing

if TYPE_CHECKING:
    from torch import Tensor

ARENA = 64 << 20  # bytes that TFLite-Micro may use here; what it needs is reported
MICRO_SECONDS = 10.0  # in which TFLite-Micro's interpreter, which is slow on a computer, sees some of the images
APART = 6.0  # units of the logits, of 256, by which both interpreters may differ on average: they round differently


def write_tflite(original: Original, path: Path) -> None:
    """Write a `.tflite` file: int8 images (1, h, w, c), a pixel less 128, -> int8 logits (1, classes).

    Raises:
        InputError: an operator has no form in eight bits.
        MissingExtra: the extra `mcu` is not installed.
    """
    study, data = original.study, original.study.manifest.data
    about: dict[str, Any] = {
        "study": study.name, "architecture": original.candidate.key, "weights": original.weights,
        "labels": list(data.classes), "input": "int8: a pixel (0 to 255) less 128",
    }  # fmt: skip
    if prepared := preprocessing(data):
        about["preprocessing"] = prepared
    if study.manifest.start:
        about["start"] = f"{study.manifest.start}, changed"
    write_bytes(path, tflite_bytes(original.eight_bits, offsets(original.layers), about))


def run_tflite(path: Path) -> Run:
    """Open a written file in LiteRT for running; images of another size are resized as in the training."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingExtra("checking a .tflite file needs LiteRT: pip install 'pareto-explorer[mcu]'") from error
    with open(os.devnull, "w") as nowhere, _overheard(nowhere.fileno()):
        interpreter = Interpreter(model_path=str(path), num_threads=1)
        interpreter.allocate_tensors()
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero = made["quantization"]

    def run(x: Tensor) -> np.ndarray:
        found = []
        for image in pixels(x, given["shape"][1]):
            interpreter.set_tensor(given["index"], image[None])
            interpreter.invoke()
            found.append(interpreter.get_tensor(made["index"])[0])
        return scale * (np.array(found, np.float32) - zero)

    return run


def pixels(x: Tensor, size: int) -> np.ndarray:
    """Return images (n, c, h, w) in [0, 1] as the file reads them: (n, size, size, c) int8."""
    from explorer.supernets.plain import fit

    resized = fit(x, size).permute(0, 2, 3, 1).numpy()
    return np.clip(np.round(255 * resized) + LOW, LOW, HIGH).astype(np.int8)


def on_a_microcontroller(original: Original, path: Path) -> dict[str, Any]:
    """Return what TFLite-Micro says of a file.

    Returns:
        arena_bytes (the head of its arena: activations), flash_bytes (the file without what it says about itself, an
        upper bound), micro_images (how many of the check's images it has seen), micro_agrees (on what share of them it
        gives the same class as LiteRT), micro_apart (how far its logits are from LiteRT's on average, in units of their
        scale) and npus (chip -> what Vela estimates, where it is installed).

    Raises:
        ExportError: the two interpreters compute different networks.
    """
    from tflite_micro import runtime

    file = path.read_bytes()
    how = {"intrepreter_config": runtime.InterpreterConfig.kAllocationRecording}  # the keyword is spelled so
    interpreter = runtime.Interpreter.from_bytes(file, arena_size=ARENA, **how)
    found: dict[str, Any] = {"arena_bytes": _head(interpreter), "flash_bytes": size_of(original.layers)}
    made: list[np.ndarray] = []
    start = time.monotonic()
    for image in pixels(original.images, original.layers[0].size):
        if made and time.monotonic() - start > MICRO_SECONDS:
            break
        interpreter.set_input(image[None], 0)
        interpreter.invoke()
        made.append(interpreter.get_output(0)[0].copy())
    scale, seen = original.eight_bits.scales[original.layers[-1].name], len(made)
    micro = scale.scale * (np.array(made, np.float32) - scale.zero)
    phone = run_tflite(path)(original.images[:seen])
    apart = float(np.abs(micro - phone).mean() / scale.scale)
    if apart > APART:
        raise ExportError(
            f"LiteRT and TFLite-Micro compute different logits, {apart:.1f} units apart on average of {seen} images "
            f"(up to {APART:g} are rounding); nothing was written"
        )
    same = float((micro.argmax(1) == phone.argmax(1)).mean())
    return found | {"micro_images": seen, "micro_agrees": same, "micro_apart": apart, "npus": _on_npus(file)}


def _on_npus(file: bytes) -> dict[str, dict[str, Any]]:
    """Return what Vela estimates of a file on Ethos-U chips; nothing where it is not installed or refuses the file."""
    try:
        found = [estimate(file, chip) for chip in CHIPS]
    except (MissingExtra, CannotCompile):  # the file is good without an estimate
        return {}
    return {one.chip: {"latency_ms": one.latency_ms, "sram_kb": one.sram_kb, "whole": one.whole} for one in found}


@contextmanager
def _overheard(file: int) -> Iterator[None]:
    """Write to an open file what the interpreters, which are written in C++, write to stderr."""
    before = os.dup(2)
    try:
        os.dup2(file, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def _head(interpreter: Any) -> int:
    """Return the head of the arena in bytes."""
    with tempfile.TemporaryFile() as said:
        with _overheard(said.fileno()):
            interpreter.print_allocations()
        said.seek(0)
        text = said.read().decode(errors="replace")
    found = re.search(r"head (\d+) bytes", text)
    if found is None:
        raise ExportError(f"TFLite-Micro did not say what memory the file needs: {text[:200]!r}")
    return int(found[1])
