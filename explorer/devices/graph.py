"""ONNX graphs written straight from layers: what is timed on a device.

Weights are random, batch norm is folded into the convolutions as every runtime does, so no torch is needed.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from explorer.core.errors import unknown
from explorer.core.layer import OPERATORS, Layer

OPSET = 18


class _Writer:
    """Collects nodes and weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(0)

    def add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        return name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        values = self.rng.standard_normal(shape) / np.sqrt(max(1, int(np.prod(shape[1:]))))
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def conv(self, x: str, cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1,
             act: str = "none", bias: bool = True, dilation: int = 1) -> str:  # fmt: skip
        pad = dilation * (kernel // 2)
        inputs = [x, self.weight(cout, cin // groups, kernel, kernel)] + ([self.weight(cout)] if bias else [])
        y = self.add("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups,
                     dilations=[dilation] * 2)  # fmt: skip
        return self.activate(y, act)

    def activate(self, x: str, act: str) -> str:
        operator = {"relu": "Relu", "hswish": "HardSwish", "none": None}[act]
        return self.add(operator, [x]) if operator else x

    def layer(self, sources: list[str], layer: Layer) -> str:
        """Append a layer; returns the name of its output."""
        x = self.activate(sources[0], layer.before)
        if layer.op == "conv":
            return self.conv(x, layer.cin, layer.cout, layer.kernel, layer.stride, layer.groups, layer.act, layer.bn,
                             layer.dilation)  # fmt: skip
        if layer.op == "mbconv":
            return self.mbconv(x, layer)
        if layer.op == "pool":
            return self.add("GlobalAveragePool", [x])
        if layer.op == "linear":
            flat = self.add("Flatten", [x], axis=1)
            return self.add("Gemm", [flat, self.weight(layer.cout, layer.cin), self.weight(layer.cout)], transB=1)
        if layer.op in ("add", "concat"):
            return self.add("Concat", sources, axis=1) if layer.op == "concat" else self.add("Sum", sources)
        return self.cell_layer(x, layer)

    def cell_layer(self, x: str, layer: Layer) -> str:
        """What only cells have, of one input."""
        pooling = {
            "kernel_shape": [layer.kernel] * 2,
            "strides": [layer.stride] * 2,
            "pads": [(layer.kernel - 1) // 2] * 4,
        }
        if layer.op == "avgpool":
            return self.add("AveragePool", [x], count_include_pad=0, **pooling)
        if layer.op == "maxpool":
            return self.add("MaxPool", [x], **pooling)
        if layer.op == "factorized":
            first = layer.cout // 2
            shifted = self.add("Slice", [x, *(self.constant(v) for v in ([1, 1], [layer.size] * 2, [2, 3]))])
            if layer.size % 2:  # an odd border is filled with zeros
                shifted = self.add("Pad", [shifted, self.constant([0, 0, 0, 0, 0, 0, 1, 1])])
            halves = [self.conv(x, layer.cin, first, 1, 2), self.conv(shifted, layer.cin, layer.cout - first, 1, 2)]
            return self.activate(self.add("Concat", halves, axis=1), layer.act)
        if layer.op == "norm":  # behind a sum nothing can absorb it
            scaled = self.add("Mul", [x, self.weight(1, layer.cout, 1, 1)])
            return self.activate(self.add("Add", [scaled, self.weight(1, layer.cout, 1, 1)]), layer.act)
        if layer.op == "scatter":  # one channel of zeros behind the last, then every channel from where it comes
            wide = self.add("Pad", [x, self.constant([0] * 5 + [1, 0, 0])])
            where = dict(zip(layer.places or range(layer.cin), range(layer.cin)))
            return self.add(
                "Gather", [wide, self.constant([where.get(c, layer.cin) for c in range(layer.cout)])], axis=1
            )
        if layer.op == "zero":
            strided = (
                x if layer.stride == 1 else self.add("MaxPool", [x], kernel_shape=[1, 1], strides=[layer.stride] * 2)
            )
            return self.add("Mul", [strided, self.zero()])
        raise unknown("operator", layer.op, OPERATORS)

    def zero(self) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.zeros(1, np.float32), name))
        return name

    def alone(self, layer: Layer) -> list[str]:
        """Inputs of a layer timed by itself: the image, for a sum so many times, for a concatenation in pieces."""
        if layer.op == "concat":
            names = [f"v{len(self.nodes)}.{i}" for i in range(layer.joins)]
            self.nodes.append(helper.make_node("Split", ["images"], names, axis=1, num_outputs=layer.joins))
            return names
        return ["images"] * max(1, layer.joins)

    def depthwise(self, x: str, layer: Layer) -> str:
        groups = layer.depthwise
        if len(groups) == 1:
            return self.conv(x, layer.mid, layer.mid, groups[0][0], layer.stride, groups=layer.mid, act=layer.act)
        outputs = []
        for start, (kernel, channels) in zip(np.cumsum([0, *(n for _, n in groups)]), groups):
            ends = [self.constant([n]) for n in (int(start), int(start) + channels, 1)]  # from, to, along the channels
            part = self.add("Slice", [x, *ends])
            outputs.append(self.conv(part, channels, channels, kernel, layer.stride, groups=channels, act=layer.act))
        return self.add("Concat", outputs, axis=1)

    def constant(self, values: list[int]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def mbconv(self, x: str, layer: Layer) -> str:
        mid = layer.mid
        y = x if mid == layer.cin else self.conv(x, layer.cin, mid, act=layer.act)
        y = self.depthwise(y, layer)
        if layer.se:
            gate = self.conv(self.add("GlobalAveragePool", [y]), mid, layer.se, act="relu")
            gate = self.add("HardSigmoid", [self.conv(gate, layer.se, mid)], alpha=1 / 6, beta=0.5)
            y = self.add("Mul", [y, gate])
        y = self.conv(y, mid, layer.cout)
        return self.add("Add", [x, y]) if layer.residual else y


def network_graph(layers: Sequence[Layer], batch: int = 1) -> onnx.ModelProto:
    """The graph of a network (or of one layer) with random weights; input `images`, output `out`."""
    writer = _Writer()
    outputs: dict[str, str] = {}
    for i, layer in enumerate(layers):
        sources = [outputs[name] for name in layer.inputs] if i and layer.inputs else writer.alone(layer)
        outputs[layer.name] = writer.layer(sources, layer)
    first, last = layers[0], layers[-1]
    writer.nodes[-1].output[0] = "out"
    shape = [batch, first.cin, first.size, first.size]
    out_shape = [batch, last.cout] if last.op == "linear" else [batch, last.cout, last.size_out, last.size_out]
    graph = helper.make_graph(
        writer.nodes, "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out_shape)],
        writer.weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
