"""One step of the PNAG controller as an ONNX graph.

`code (r, C), request (n,), previous (n,), h (n, H), c (n, H) -> logits (n, O), h_next, c_next`. Row i is conditioned on
the budget code `code[request[i]]`, so that rows with the same budget share one matrix product. `previous` is 0 in the
first step, then 1 + the position of the chosen option in the concatenated options of all kinds. The embeddings are
multiplied with the LSTM's input matrix once, when the graph is built.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def controller_graph(state: Mapping[str, Any]) -> onnx.ModelProto:
    """Build the ONNX graph of one controller step.

    Args:
        state: the state dict of the trained `Controller`.
    """
    w = {name: np.asarray(tensor, np.float32) for name, tensor in state.items()}
    bias = w["cell.bias_ih"] + w["cell.bias_hh"]
    into = w["cell.weight_ih"].T
    hidden = w["cell.weight_hh"].shape[1]
    kinds = sum(name.startswith("choices.") for name in w)
    options = np.concatenate([w[f"choices.{k}"] for k in range(kinds)])
    weights = {
        "recurrent": w["cell.weight_hh"].T, "budget": w["budget"] @ into,
        "table": np.concatenate([np.zeros((1, 4 * hidden), np.float32), options @ into]) + bias,
        "heads": np.concatenate([w[f"heads.{k}.weight"] for k in range(kinds)]),
        "head_bias": np.concatenate([w[f"heads.{k}.bias"] for k in range(kinds)]),
        "quarters": np.array([hidden] * 4, np.int64),
    }  # fmt: skip
    steps: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("MatMul", ["code", "budget"], ["budgets"], {}),
        ("Gather", ["budgets", "request"], ["from_budget"], {"axis": 0}),
        ("Gather", ["table", "previous"], ["from_choice"], {"axis": 0}),
        ("MatMul", ["h", "recurrent"], ["from_h"], {}),
        ("Add", ["from_choice", "from_h"], ["inner"], {}),
        ("Add", ["inner", "from_budget"], ["gates"], {}),
        ("Split", ["gates", "quarters"], ["i", "f", "z", "o"], {"axis": 1}),
        ("Sigmoid", ["i"], ["take"], {}),
        ("Sigmoid", ["f"], ["keep"], {}),
        ("Sigmoid", ["o"], ["show"], {}),
        ("Tanh", ["z"], ["new"], {}),
        ("Mul", ["take", "new"], ["taken"], {}),
        ("Mul", ["keep", "c"], ["kept"], {}),
        ("Add", ["taken", "kept"], ["c_next"], {}),
        ("Tanh", ["c_next"], ["squashed"], {}),
        ("Mul", ["show", "squashed"], ["h_next"], {}),
        ("Gemm", ["h_next", "heads", "head_bias"], ["logits"], {"transB": 1}),
    ]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node(op, inputs, outputs, **attributes) for op, inputs, outputs, attributes in steps],
        "controller",
        [
            helper.make_tensor_value_info("code", floats, ["r", w["budget"].shape[0]]),
            helper.make_tensor_value_info("request", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("previous", TensorProto.INT64, ["n"]),
            helper.make_tensor_value_info("h", floats, ["n", hidden]),
            helper.make_tensor_value_info("c", floats, ["n", hidden]),
        ],
        [
            helper.make_tensor_value_info("logits", floats, ["n", len(options)]),
            helper.make_tensor_value_info("h_next", floats, ["n", hidden]),
            helper.make_tensor_value_info("c_next", floats, ["n", hidden]),
        ],
        [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
