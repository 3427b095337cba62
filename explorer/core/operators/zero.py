"""An operator that outputs zeros: the output of a cell that no input reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import GraphWriter


@operator
@dataclass(frozen=True)
class Zero(Layer):
    """Zeros of the output shape."""

    op: ClassVar[str] = "zero"

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        x = sources[0]
        if self.stride > 1:
            x = graph.add("MaxPool", [x], kernel_shape=[1, 1], strides=[self.stride] * 2)
        return graph.add("Mul", [x, graph.zero()])
