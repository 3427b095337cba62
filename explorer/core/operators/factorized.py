"""Factorized reduction: halves the feature map without dropping pixels (Liu et al. 2019, "DARTS")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import GraphWriter
from explorer.core.work import Work


@operator
@dataclass(frozen=True)
class Factorized(Layer):
    """Two parallel 1x1 convolutions of stride 2, the second shifted by one pixel; concatenation, then batch norm.

    Attributes:
        before: activation of the input.
        affine: whether the batch norm has a trained scale and shift.
    """

    op: ClassVar[str] = "factorized"
    written: ClassVar[tuple[str, ...]] = ("kernel", "stride", "act", "before", "affine")

    before: str = "none"
    affine: bool = True

    def macs(self) -> int:
        """See `Layer.macs`."""
        return self.cin * self.cout * self.size_out**2

    def params(self) -> int:
        """See `Layer.params`."""
        return self.cin * self.cout + 2 * self.cout * self.affine

    def work(self) -> Work:
        """See `Layer.work`."""
        return Work().product(self.cin, self.cout, self.size_out**2)

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        x, first = graph.activate(sources[0], self.before), self.cout // 2
        shifted = graph.add("Slice", [x, *(graph.integers(v) for v in ([1, 1], [self.size] * 2, [2, 3]))])
        # an odd size leaves a border, which is filled with zeros
        if self.size % 2:
            shifted = graph.add("Pad", [shifted, graph.integers([0, 0, 0, 0, 0, 0, 1, 1])])
        halves = [graph.conv(x, self.cin, first, 1, 2), graph.conv(shifted, self.cin, self.cout - first, 1, 2)]
        return graph.activate(graph.add("Concat", halves, axis=1), self.act)
