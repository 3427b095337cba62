"""The last steps of every method's training: choose the margin and write the generator file (needs torch).

A generator asks its network for slightly less than the limit, by the margin, so that most raw networks (the most
probable ones, without selection) meet their budget.
"""

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
    """Find the smallest margin at which enough raw networks meet their budget.

    Args:
        space, devices: used to compute the costs of the networks.
        limits: (n, m) random budgets, NaN where unconstrained.
        raw: limits -> (n, d), the networks of one deterministic pass.
        feasible: required share of networks within their budget.
        margins: margins to try, ascending; the last one is used if none reaches `feasible`.

    Returns:
        The margin, and the share of networks within their budget at this margin.
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
    """Build the trained generator from its ONNX graph, weights and metadata.

    Args:
        space, evaluator, devices: those that the generator was trained with.
        method: name of the method.
        network: the trained network, whose weights are kept for further training.
        graph: the ONNX graph that the generator runs.
        code: the budget code.
        about: more metadata: margin, raw_feasible, seed and what this kind of generator needs.
    """
    everything = {
        "method": method, "devices": code.devices, "low": code.low, "high": code.high, "anchors": code.anchors,
        "parameters": sum(p.numel() for p in network.parameters()), "noise": about["seed"],
    } | dict(about)  # fmt: skip
    onnx.helper.set_model_props(graph, {"generator": json.dumps(everything)})
    weights = save({name: t.contiguous() for name, t in network.state_dict().items()})
    return open_generator(space, graph.SerializeToString(), evaluator, devices, weights)
