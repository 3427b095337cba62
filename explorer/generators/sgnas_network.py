"""SGNAS's generator network and its ONNX graph (needs torch)."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from explorer.generators.layout import Layout


class ArchitectureGenerator(nn.Module):
    """Convolutional network from a budget code and a prior map to a map of logits.

    All convolutions are 3x3 with 32 channels; only the last one has a bias. There are 67,969 parameters if the budget
    code has 10 entries.
    """

    def __init__(self, code: int, channels: int = 32) -> None:
        super().__init__()

        def conv(cin: int, cout: int = channels, bias: bool = False) -> nn.Conv2d:
            return nn.Conv2d(cin, cout, 3, padding=1, bias=bias)

        self.budget = nn.ModuleList([conv(code), conv(channels), conv(channels)])
        self.prior = nn.ModuleList([conv(1), conv(channels)])
        self.head = conv(channels)
        self.body = nn.ModuleList([conv(channels) for _ in range(3)])
        self.tail = conv(channels, 1, bias=True)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)

    def forward(self, code: Tensor, prior: Tensor) -> Tensor:
        """Compute logits: codes (n, C) and priors (n, 1, rows, columns) -> (n, rows * columns)."""
        x = code[:, :, None, None].expand(-1, -1, *prior.shape[2:])
        for layer in self.budget:
            x = F.relu(layer(x))
        y = prior
        for layer in self.prior:
            y = F.relu(layer(y))
        both = x + y
        z = F.relu(self.head(both))
        for layer in self.body:
            z = F.relu(layer(z))
        return self.tail(z + both).flatten(1)


def generator_graph(network: ArchitectureGenerator, where: Layout, code: int) -> onnx.ModelProto:
    """Convert the network to an ONNX graph, `code (n, C), prior (n, 1, rows, columns) -> logits (n, D)`.

    Args:
        network: the trained network.
        where: the positions of the options in the map.
        code: width C of the budget code.
    """
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def add(op: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def constant(name: str, value: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(x: str, name: str, module: nn.Module, relu: bool = True) -> str:
        tensors = [constant(f"{name}.{n}", p.detach().numpy()) for n, p in module.named_parameters()]
        y = add("Conv", [x, *tensors], f"{name}_out", kernel_shape=[3, 3], pads=[1] * 4)
        return add("Relu", [y], f"{name}_relu") if relu else y

    ones = constant("ones", np.ones((1, 1, where.rows, where.columns), np.float32))
    x = add("Unsqueeze", ["code", constant("axes", np.array([2, 3], np.int64))], "code_map")
    x = add("Mul", [x, ones], "code_maps")
    for i, layer in enumerate(network.budget):
        x = conv(x, f"budget{i}", layer)
    y = "prior"
    for i, layer in enumerate(network.prior):
        y = conv(y, f"prior{i}", layer)
    both = add("Add", [x, y], "both")
    z = conv(both, "head", network.head)
    for i, layer in enumerate(network.body):
        z = conv(z, f"body{i}", layer)
    z = conv(add("Add", [z, both], "sum"), "tail", network.tail, relu=False)
    flat = add("Flatten", [z], "flat", axis=1)
    add("Gather", [flat, constant("cells", where.cells.astype(np.int64))], "logits", axis=1)
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes, "sgnas",
        [
            helper.make_tensor_value_info("code", floats, ["n", code]),
            helper.make_tensor_value_info("prior", floats, ["n", 1, where.rows, where.columns]),
        ],
        [helper.make_tensor_value_info("logits", floats, ["n", len(where.cells)])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
