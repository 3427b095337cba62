"""Export to ONNX in float32 and in int8; both take a batch of n images in [0, 1] at the study's image size."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import write_bytes
from explorer.core.onnx_graph import IR_VERSION, OPSET
from explorer.core.steps import has_steps
from explorer.exports.check import Run
from explorer.exports.original import Original
from explorer.exports.predicting import preprocessing
from explorer.study import fingerprint

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

# training images for calibration, validation images for choosing the method, images per calibration batch
CALIBRATION, CHOICE, PIECE = 512, 1000, 64
COPIES = 8  # maximum number of copies of a network's file that exist at the same time
# other operators would need a change to float32 and back around them, because they have no form for eight bits
QUANTISED = ("Conv", "Gemm", "MatMul", "Add", "Relu", "Clip")
RUNTIME = "onnxruntime 1.15 or newer, or any runtime with ONNX opset 18"  # the oldest that was tried


def write_onnx(original: Original, path: Path) -> None:
    """Write a float32 ONNX file, `images (n, c, h, w) -> logits (n, classes)`, with dynamic n and with metadata."""
    data = original.study.manifest.data
    write_bytes(path, onnx_bytes(original.fused(), data.channels, data.size, facts_of_file(original)))


def facts_of_file(original: Original) -> dict[str, str]:
    """Return the metadata of an ONNX file."""
    study, data = original.study, original.study.manifest.data
    facts = {
        "study": study.name, "study_fingerprint": fingerprint(study), "architecture": original.candidate.key,
        "space": study.space.name, "classes": json.dumps(data.classes),
        "costs": json.dumps(dict(original.candidate.costs)), "weights": original.weights,
    }  # fmt: skip
    if prepared := preprocessing(data):
        facts["preprocessing"] = json.dumps(prepared)
    if study.manifest.start:
        facts["start"] = f"{study.manifest.start}, changed"
    return facts


def about_file(channels: int, size: int) -> dict[str, str]:
    """Return the metadata that say what a file reads and what reads it."""
    return {"images": f"float32 (n, {channels}, {size}, {size}) in [0, 1]", "needs": RUNTIME}


def onnx_bytes(network: nn.Module, channels: int, size: int, facts: dict[str, str]) -> bytes:
    """Convert a network to the bytes of an ONNX file that has passed the ONNX checker.

    Args:
        network: a network in evaluation mode that takes images in [0, 1].
        channels, size: number of channels and side length of the images.
        facts: metadata to store in the file.
    """
    import onnx
    import torch

    example = torch.rand(2, channels, size, size)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            network, (example,), dynamo=True, opset_version=OPSET, input_names=["images"], output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=65536)},), verbose=False,
        )  # fmt: skip
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, facts | about_file(channels, size))
    return portable(model)


def portable(model: ModelProto) -> bytes:
    """Return a model as bytes that old runtimes read and that say nothing of the machine that wrote them.

    The version of the format is lowered to the one that the opset needs, operator sets that no node uses are removed,
    and so are the traces of source lines that torch attaches to every node. The ONNX checker has passed the result.

    Raises:
        InputError: the model has another opset than `OPSET`.
    """
    import onnx

    used = {node.domain for node in model.graph.node}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    if [(entry.domain, entry.version) for entry in kept] != [("", OPSET)]:
        found = ", ".join(f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in kept)
        raise InputError(f"the ONNX file would need operator sets {found}; expected ai.onnx {OPSET}")
    del model.opset_import[:]
    model.opset_import.extend(kept)
    model.ir_version = IR_VERSION
    traced: list[Any] = [*model.graph.node, *model.graph.initializer, *model.graph.value_info, *model.graph.input,
              *model.graph.output, model.graph]  # fmt: skip
    for part in traced:
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def write_int8(original: Original, path: Path) -> None:
    """Write an ONNX file in eight bits, in the QDQ format that runtimes fuse, with the numbers of the `.tflite` file.

    A network with operators that have no such form (cells, or pruned parts) is quantised by onnxruntime instead.

    Raises:
        InputError: the study has no images to calibrate on, or there is not enough disk space.
    """
    if not has_steps(original.layers):
        write_by_onnxruntime(original, path)
        return
    import onnx

    from explorer.core.onnx_eight_bits import onnx_of
    from explorer.supernets.stepwise import centre

    data = original.study.manifest.data
    network: Any = original.network
    model = onnx_of(original.eight_bits, data.size, centre(network.preprocess))
    onnx.helper.set_model_props(model, facts_of_file(original) | about_file(data.channels, data.size))
    write_bytes(path, portable(model))


def write_by_onnxruntime(original: Original, path: Path) -> None:
    """Quantise an ONNX file with onnxruntime: int8 weights (per channel) and activations, in the QDQ format.

    Activations are unsigned: with signed ones, onnxruntime leaves depthwise convolutions in float32 on x86 processors.
    Weights use 7 of the 8 bits there, so that sums do not saturate on processors without instructions for eight bits
    (AVX2), where results would silently differ.

    The ranges of activations are calibrated on training images by two methods, min-max and percentile; the result that
    is more accurate on validation images is kept.

    Raises:
        InputError: the study has no images to calibrate on, or there is not enough disk space.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    from explorer.supernets.augment import to_float

    study = original.study
    if not study.origin.has_weights:
        raise InputError(f"format 'int8' needs training images to calibrate on; study {study.name!r} has none")
    val = study.images.val.take(slice(0, CHOICE))
    images, labels = to_float(val.images), val.labels.numpy()
    work = path.with_suffix(".whole.onnx")
    write_onnx(original, work)
    _room(work)
    quant_pre_process(str(work), str(work), skip_symbolic_shape=True)
    reader: Any = _Calibration
    tried: list[tuple[float, bytes]] = []
    for method in (CalibrationMethod.MinMax, CalibrationMethod.Percentile):
        with redirect_stdout(StringIO()):  # it prints its progress
            quantize_static(
                str(work), str(path), reader(to_float(study.images.train.images[:CALIBRATION]).numpy()),
                quant_format=QuantFormat.QDQ, per_channel=True, reduce_range=True,
                activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=method,
                op_types_to_quantize=list(QUANTISED),
            )  # fmt: skip
        right = np.concatenate([run_onnx(path)(batch) for batch in images.split(250)]).argmax(1) == labels
        tried.append((float(right.mean()), path.read_bytes()))
    write_bytes(path, portable(onnx.load_from_string(max(tried, key=lambda pair: pair[0])[1])))
    work.unlink()


def _room(file: Path) -> None:
    """Check the free disk space: quantising writes several copies of a file and does not detect truncated ones."""
    needed, free = COPIES * file.stat().st_size, shutil.disk_usage(file.parent).free
    if free < needed:
        raise InputError(
            f"cannot quantise in {str(file.parent)!r}: No space left on device ({needed:,} bytes needed, {free:,} free)"
        )


class _Calibration:
    """Training images in batches, with the interface of onnxruntime's calibration data readers."""

    def __init__(self, images: np.ndarray) -> None:
        self._pieces = iter([images[i : i + PIECE] for i in range(0, len(images), PIECE)])

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next batch, None at the end."""
        piece = next(self._pieces, None)
        return None if piece is None else {"images": piece}


def run_onnx(path: Path) -> Run:
    """Open a written ONNX file for running."""
    from explorer.core.onnx_session import open_session

    session = open_session(str(path))

    def run(x: Tensor) -> np.ndarray:
        return np.asarray(session.run(None, {"images": x.numpy()})[0])

    return run
