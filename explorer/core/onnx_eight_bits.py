"""A network in eight bits as an ONNX graph in the QDQ format, with the same integers as its `.tflite` file.

Activations are unsigned: with signed ones, onnxruntime leaves depthwise convolutions in float32 on x86 processors. So
all zero points are 128 higher; the real values are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from explorer.core.eight_bits import LOW, EightBits, Scale
from explorer.core.onnx_graph import IR_VERSION, OPSET
from explorer.core.steps import IMAGES, WEIGHTED, Step

LOGITS = "logits"
ValueInfo = tuple[str, int, list[Any]]  # name, type, and shape of an input or output
SIMPLE = {"add": "Add", "scale": "Mul", "mean": "GlobalAveragePool", "hswish": "HardSwish"}


def onnx_of(network: EightBits, size: int, centre: float) -> onnx.ModelProto:
    """Return the graph `images (n, c, h, w) in [0, 1] -> logits (n, classes)`.

    Args:
        network: the network.
        size: height and width of the images; where it is not the network's, they are resized as in training.
        centre: the value of images that is their zero in eight bits.
    """
    graph = _Graph(network)
    x = graph.sized(IMAGES, size)
    x = graph.node("Sub", [x, graph.constant("centre", np.array(centre, np.float32))], "centred")
    last = graph.steps(graph.rounded(x, network.scales[IMAGES], IMAGES))
    graph.node("Flatten", [last], LOGITS, axis=1)
    shape: list[Any] = ["n", network.channels, size, size]
    return graph.model(
        (IMAGES, TensorProto.FLOAT, shape), (LOGITS, TensorProto.FLOAT, ["n", network.steps[-1].channels])
    )


def piece_of(network: EightBits) -> onnx.ModelProto:
    """Return the graph of a piece from the middle of a network: `images` and the output are integers, one image."""
    graph, last = _Graph(network), network.steps[-1]
    made = graph.steps(graph.real(IMAGES, network.scales[IMAGES], IMAGES))
    whole = next(node.input[0] for node in graph.nodes if made in node.output)
    graph.nodes.pop()
    return graph.model(
        (IMAGES, TensorProto.UINT8, [1, network.channels, network.size, network.size]),
        (whole, TensorProto.UINT8, [1, last.channels, last.size, last.size]),
    )


class _Graph:
    """A graph that is being written."""

    def __init__(self, network: EightBits) -> None:
        self.network = network
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Append a node with one output of this name."""
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op}:{name}", **attributes))
        return name

    def constant(self, name: str, values: np.ndarray) -> str:
        """Add a constant."""
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def sized(self, x: str, size: int) -> str:
        """Bring images to the network's size, as `supernets.plain.fit` does."""
        missing = self.network.size - size
        if missing == 0:
            return x
        if 0 < missing <= 8:
            before, after = missing // 2, missing - missing // 2
            pads = self.constant("pads", np.array([0, 0, before, before, 0, 0, after, after], np.int64))
            return self.node("Pad", [x, pads], "padded", mode="edge")
        factor = self.network.size / size
        scales = self.constant("factors", np.array([1, 1, factor, factor], np.float32))
        return self.node("Resize", [x, "", scales], "resized", mode="linear",
                         coordinate_transformation_mode="half_pixel")  # fmt: skip

    def model(self, given: ValueInfo, made: ValueInfo) -> onnx.ModelProto:
        """Return what was written as a model with one input and one output, each (name, type, shape)."""
        first, last = (helper.make_tensor_value_info(*value) for value in (given, made))
        graph = helper.make_graph(self.nodes, "network", [first], [last], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)

    def rounded(self, x: str, scale: Scale, name: str) -> str:
        """Round a tensor to eight bits, and back."""
        numbers = self._numbers(scale, name)
        whole = self.node("QuantizeLinear", [x, *numbers], f"{name}:whole")
        return self.node("DequantizeLinear", [whole, *numbers], f"{name}:real")

    def real(self, whole: str, scale: Scale, name: str) -> str:
        """Return the real values of integers."""
        return self.node("DequantizeLinear", [whole, *self._numbers(scale, name)], f"{name}:real")

    def _numbers(self, scale: Scale, name: str) -> list[str]:
        return [self.constant(f"{name}:scale", np.array(scale.scale, np.float32)),
                self.constant(f"{name}:zero", np.array(scale.zero - LOW, np.uint8))]  # fmt: skip

    def steps(self, images: str) -> str:
        """Append all steps of the network, which reads `images`; return the output's real values."""
        values = {IMAGES: images}
        for step in self.network.steps:
            values[step.name] = self.step(step, [values[source] for source in step.inputs])
        return values[self.network.steps[-1].name]

    def step(self, step: Step, inputs: list[str]) -> str:
        """Append the nodes of a step; bounds are those of the rounded output."""
        if step.kind in WEIGHTED:
            k, groups = step.kernel, step.cin if step.kind == "depthwise" else 1
            y = self.node("Conv", [*inputs, *self._weights(step)], step.name, kernel_shape=[k, k], group=groups,
                          strides=[step.stride] * 2, pads=[k // 2] * 4)  # fmt: skip
        else:
            y = self.node(SIMPLE[step.kind], inputs, step.name)
        return self.rounded(y, self.network.scales[step.name], step.name)

    def _weights(self, step: Step) -> list[str]:
        own, name = self.network.constants[step.name], step.name
        weights = own.weights.reshape(*own.weights.shape, *[1] * (4 - own.weights.ndim))
        unit = (self.network.scales[step.inputs[0]].scale * own.scales.astype(np.float64)).astype(np.float32)
        real = []
        for what, whole, scales in (("weights", weights, own.scales), ("bias", own.bias, unit)):
            inputs = [self.constant(f"{name}:{what}", whole), self.constant(f"{name}:{what}:scale", scales)]
            inputs.append(self.constant(f"{name}:{what}:zero", np.zeros(len(scales), whole.dtype)))
            real.append(self.node("DequantizeLinear", inputs, f"{name}:{what}:real", axis=0))
        return real
