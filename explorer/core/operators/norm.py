"""Standalone batch norm and activation, for example after a sum, where no convolution can absorb them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import GraphWriter


@operator
@dataclass(frozen=True)
class Norm(Layer):
    """Batch norm, followed by the activation.

    Attributes:
        affine: whether there is a trained scale and shift.
    """

    op: ClassVar[str] = "norm"
    written: ClassVar[tuple[str, ...]] = ("kernel", "stride", "act", "affine")

    affine: bool = True

    def params(self) -> int:
        """See `Layer.params`."""
        return 2 * self.cout * self.affine

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        scaled = graph.add("Mul", [sources[0], graph.weight(1, self.cout, 1, 1)])
        return graph.activate(graph.add("Add", [scaled, graph.weight(1, self.cout, 1, 1)]), self.act)
