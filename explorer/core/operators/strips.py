"""A square convolution taken apart: one row of taps, then one column (NSGA-Net's "conv_7x1_1x7")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import GraphWriter
from explorer.core.work import Work


@operator
@dataclass(frozen=True)
class Strips(Layer):
    """A 1 x k and a k x 1 convolution with "same" padding, then batch norm; each one strides along its own taps.

    Attributes:
        before: activation of the input.
    """

    op: ClassVar[str] = "strips"
    written: ClassVar[tuple[str, ...]] = ("kernel", "stride", "act", "before")

    before: str = "none"

    def macs(self) -> int:
        """See `Layer.macs`."""
        rows = self.cin * self.size * self.size_out
        return self.kernel * self.cout * (rows + self.cout * self.size_out**2)

    def params(self) -> int:
        """See `Layer.params`."""
        return self.kernel * self.cout * (self.cin + self.cout) + 2 * self.cout

    def work(self) -> Work:
        """See `Layer.work`."""
        rows = Work().product(self.kernel * self.cin, self.cout, self.size * self.size_out)
        return rows.product(self.kernel * self.cout, self.cout, self.size_out**2)

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        k, s, pad = self.kernel, self.stride, self.kernel // 2
        x = graph.activate(sources[0], self.before)
        x = graph.add("Conv", [x, graph.weight(self.cout, self.cin, 1, k)], kernel_shape=[1, k], strides=[1, s],
                      pads=[0, pad, 0, pad])  # fmt: skip
        x = graph.add("Conv", [x, graph.weight(self.cout, self.cout, k, 1), graph.weight(self.cout)],
                      kernel_shape=[k, 1], strides=[s, 1], pads=[pad, 0, pad, 0])  # fmt: skip
        return graph.activate(x, self.act)
