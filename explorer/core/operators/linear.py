"""Linear layer with bias: the classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import GraphWriter
from explorer.core.steps import Step
from explorer.core.work import Work


@operator
@dataclass(frozen=True)
class Linear(Layer):
    """A linear layer with bias, which reads a 1 x 1 feature map."""

    op: ClassVar[str] = "linear"
    written: ClassVar[tuple[str, ...]] = ()
    flat: ClassVar[bool] = True

    @property
    def fitted(self) -> bool:
        """See `Layer.fitted`."""
        return True

    @property
    def size_out(self) -> int:
        """Always 1."""
        return 1

    def macs(self) -> int:
        """See `Layer.macs`."""
        return self.cin * self.cout

    def params(self) -> int:
        """See `Layer.params`."""
        return self.cin * self.cout + self.cout

    def work(self) -> Work:
        """See `Layer.work`."""
        return Work().vector(self.cin, self.cout)

    def steps(self) -> list[Step]:
        """See `Layer.steps`."""
        return [Step("linear", self.name, (self.source,), self.cout, 1, self.cin)]

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        flat = graph.add("Flatten", [sources[0]], axis=1)
        return graph.add("Gemm", [flat, graph.weight(self.cout, self.cin), graph.weight(self.cout)], transB=1)
