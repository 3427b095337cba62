"""A generator's file, whatever its kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from explorer.core.errors import InputError, first_line
from explorer.core.onnx_session import metadata_of
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.generators.controller import ControllerGenerator
from explorer.generators.one_pass import OnePassGenerator, PriorGenerator
from explorer.generators.runtime import BudgetGenerator

KINDS: dict[str, type[BudgetGenerator]] = {
    "pnag": ControllerGenerator,
    "expert": OnePassGenerator,
    "sgnas": PriorGenerator,
}


def open_generator(
    space: SearchSpace, model: str | Path | bytes, evaluator: Evaluator, devices: Sequence[Device],
    weights: bytes | None = None,
) -> BudgetGenerator:  # fmt: skip
    """Open a generator.

    Args:
        space: the search space it was trained for.
        model: an ONNX file or its bytes.
        evaluator: ranks draws.
        devices: the devices that limits have columns for.
        weights: tensors of the trained network, where they are known.

    Raises:
        InputError: not a generator of this space, or conditioned on other devices.
    """
    data = model if isinstance(model, bytes) else Path(model).read_bytes()
    try:
        about = json.loads(metadata_of(data)["generator"])
        kind = KINDS[about["method"]]
    except Exception as error:
        raise InputError(f"not a generator of ours: {first_line(error)}") from error
    return kind(space, data, evaluator, devices, weights)
