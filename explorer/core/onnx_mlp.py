"""Build multilayer perceptrons (linear layers with ReLU between them) as one ONNX graph from arrays, without torch."""

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Linear = tuple[np.ndarray, np.ndarray]  # weight (out, in), bias (out,)


def mlp_graph(members: Sequence[Sequence[Linear]], reads: str, gives: str) -> onnx.ModelProto:
    """Build a graph in which several MLPs read the same input and their outputs are concatenated.

    Args:
        members: the layers of each MLP, as (weight, bias).
        reads: name of the input, (n, in).
        gives: name of the output, (n, members x out).
    """
    nodes, weights, outputs = [], [], []
    for i, layers in enumerate(members):
        x = reads
        for j, (weight, bias) in enumerate(layers):
            y = f"m{i}_{j}"
            weights += [
                numpy_helper.from_array(np.ascontiguousarray(v), f"{y}_{n}") for n, v in zip("wb", (weight, bias))
            ]
            nodes.append(helper.make_node("Gemm", [x, f"{y}_w", f"{y}_b"], [y], transB=1))
            if j < len(layers) - 1:
                nodes.append(helper.make_node("Relu", [y], [f"{y}_relu"]))
            x = f"{y}_relu"
        outputs.append(f"m{i}_{len(layers) - 1}")
    nodes.append(helper.make_node("Concat", outputs, [gives], axis=1))
    width = sum(len(layers[-1][1]) for layers in members)
    graph = helper.make_graph(
        nodes, "mlp", [helper.make_tensor_value_info(reads, TensorProto.FLOAT, ["n", members[0][0][0].shape[1]])],
        [helper.make_tensor_value_info(gives, TensorProto.FLOAT, ["n", width])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
