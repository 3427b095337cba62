"""What ends every method's training: the margin that its raw networks need, and one file (needs torch)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from safetensors.torch import save
from torch import nn

from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices.population import costs_of, overshoot
from explorer.generators.budgets import BudgetCode
from explorer.generators.open import open_generator
from explorer.generators.runtime import BudgetGenerator


def smallest_margin(
    space: SearchSpace, devices: Sequence[Device], limits: np.ndarray, raw: Callable[[np.ndarray], np.ndarray],
    feasible: float, margins: np.ndarray,
) -> tuple[float, float]:  # fmt: skip
    """The first margin at which enough raw networks fit, and that share.

    Args:
        space, devices: price the networks.
        limits: (n, m) random budgets, NaN where free.
        raw: limits -> (n, d), the networks of one deterministic pass.
        feasible: share that is enough.
        margins: to try, ascending; the last one is taken where none is enough.
    """
    share = margin = 0.0
    for margin in margins:
        costs = costs_of(space, devices, raw(limits * (1 - margin)))
        share = float((overshoot(costs, limits) <= 1).mean())
        if share >= feasible:
            break
    return float(round(margin, 3)), share


def finished(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], method: str, network: nn.Module,
    graph: onnx.ModelProto, code: BudgetCode, about: Mapping[str, Any],
) -> BudgetGenerator:  # fmt: skip
    """The trained generator, with all that its file says of itself.

    Args:
        space, evaluator, devices: what it was trained with.
        method: its name.
        network: its weights.
        graph: what runs.
        code: of the budgets.
        about: margin, raw_feasible, seed and what its kind needs.
    """
    everything = {
        "method": method, "devices": code.devices, "low": code.low, "high": code.high, "anchors": code.anchors,
        "parameters": sum(p.numel() for p in network.parameters()),
    } | dict(about)  # fmt: skip
    onnx.helper.set_model_props(graph, {"generator": json.dumps(everything)})
    weights = save({name: t.contiguous() for name, t in network.state_dict().items()})
    return open_generator(space, graph.SerializeToString(), evaluator, devices, weights)
