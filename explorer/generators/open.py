"""Opening a generator file of any method."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from explorer.core.errors import InputError, first_line
from explorer.core.onnx_session import metadata_of
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.generators.methods import METHODS
from explorer.generators.runtime import BudgetGenerator


def open_generator(
    space: SearchSpace, model: str | Path | bytes, evaluator: Evaluator, devices: Sequence[Device],
    weights: bytes | None = None,
) -> BudgetGenerator:  # fmt: skip
    """Open a trained generator.

    Args:
        space: the search space that the generator was trained for.
        model: path of the ONNX file, or its bytes.
        evaluator: ranks the draws.
        devices: one per column of the limits; they include those that the generator was conditioned on.
        weights: the trained network's tensors as safetensors bytes, if they are available.

    Raises:
        InputError: not a generator for this space, or one conditioned on other devices.
    """
    data = model if isinstance(model, bytes) else Path(model).read_bytes()
    try:
        about = json.loads(metadata_of(data)["generator"])
        kind = METHODS[about["method"]].runtime_of(about)
    except Exception as error:
        where = "" if isinstance(model, bytes) else f"{str(model)!r} "
        raise InputError(f"{where}is not a Pareto Explorer generator: {first_line(error)}".strip()) from error
    return kind(space, data, evaluator, devices, weights)
