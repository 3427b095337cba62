"""Build ONNX graphs node by node; operators use this to describe themselves as graphs that can be timed.

Weights are random, and batch norm is folded into the convolutions as every runtime does, so torch is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from explorer.core.steps import IMAGES

OPSET, IR_VERSION = 18, 8  # the lowest that torch exports to, and what it needs: onnxruntime 1.15 and newer


class GraphWriter:
    """Collects nodes and weights of a graph; every method returns the name of the value that it adds."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)

    def add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node with one output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [name], **attributes))
        return name

    def split(self, x: str, parts: int) -> list[str]:
        """Split a value into `parts` equal pieces along its channels; return the names of the pieces."""
        names = [f"v{len(self.nodes)}.{i}" for i in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], names, axis=1, num_outputs=parts))
        return names

    def weight(self, *shape: int) -> str:
        """Add random float32 weights of the given shape."""
        values = self._rng.standard_normal(shape) / np.sqrt(max(1, int(np.prod(shape[1:]))))
        return self._constant(values.astype(np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """Add constant integers, such as the axes of a slice."""
        return self._constant(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        """Add a constant of no dimensions."""
        return self._constant(np.array(value, np.float32))

    def zero(self) -> str:
        """Add the constant 0."""
        return self._constant(np.zeros(1, np.float32))

    def _constant(self, values: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def conv(self, x: str, cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1,
             act: str = "none", bias: bool = True, dilation: int = 1) -> str:  # fmt: skip
        """Append a convolution with "same" padding, followed by its activation."""
        pad = dilation * (kernel // 2)
        inputs = [x, self.weight(cout, cin // groups, kernel, kernel)] + ([self.weight(cout)] if bias else [])
        y = self.add("Conv", inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4, group=groups,
                     dilations=[dilation] * 2)  # fmt: skip
        return self.activate(y, act)

    def activate(self, x: str, act: str) -> str:
        """Append the activation "relu", "relu6" or "hswish"; for "none", return `x` itself."""
        if act == "relu6":
            return self.add("Clip", [x, self.scalar(0.0), self.scalar(6.0)])
        operator = {"relu": "Relu", "hswish": "HardSwish", "none": None}[act]
        return self.add(operator, [x]) if operator else x


__all__ = ["IMAGES", "IR_VERSION", "OPSET", "GraphWriter"]
