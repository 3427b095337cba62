"""The `expert` network as an ONNX graph.

`devices (n, m, C), bounded (n, m, 1) -> logits (n, D)`. A row of `devices` has one entry per device: its description
and the position of its limit. Entries are encoded one by one, those that are `bounded` are summed, and an MLP reads the
sum; so any number of devices, in any order, can be bounded.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from explorer.core.onnx_mlp import Linear


def expert_graph(entry: Sequence[Linear], trunk: Sequence[Linear]) -> onnx.ModelProto:
    """Build the graph.

    Args:
        entry: the two layers that encode one device and its limit.
        trunk: the layers of the MLP that reads the sum.
    """
    weights = {"axis": np.array([1], np.int64)}
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = []

    def linear(name: str, x: str, layer: Linear) -> str:
        weights[f"{name}_w"], weights[f"{name}_b"] = layer[0].T, layer[1]
        steps.append(("MatMul", [x, f"{name}_w"], f"{name}_product", {}))
        steps.append(("Add", [f"{name}_product", f"{name}_b"], name, {}))
        return name

    steps.append(("Relu", [linear("entry_0", "devices", entry[0])], "entry_relu", {}))
    encoded = linear("entry_1", "entry_relu", entry[1])
    steps += [
        ("Mul", [encoded, "bounded"], "entries", {}),
        ("ReduceSum", ["entries", "axis"], "sum", {"keepdims": 0}),
    ]
    x = "sum"
    for i, layer in enumerate(trunk):
        steps.append(("Relu", [x], f"trunk_{i}_in", {}))
        x = linear("logits" if i == len(trunk) - 1 else f"trunk_{i}", f"trunk_{i}_in", layer)
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output], **attributes) for op, inputs, output, attributes in steps],
        "expert",
        [
            helper.make_tensor_value_info("devices", floats, ["n", "m", entry[0][0].shape[1]]),
            helper.make_tensor_value_info("bounded", floats, ["n", "m", 1]),
        ],
        [helper.make_tensor_value_info("logits", floats, ["n", len(trunk[-1][1])])],
        [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
