"""Operators that join branches: sum and concatenation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import IMAGES, GraphWriter
from explorer.core.work import Work


@dataclass(frozen=True)
class _Joining(Layer):
    """Base class of operators with several inputs.

    Attributes:
        joins: number of inputs.
    """

    written: ClassVar[tuple[str, ...]] = ("kernel", "stride", "act", "joins")
    many_inputs: ClassVar[bool] = True

    joins: int = 0

    def work(self) -> Work:
        """See `Layer.work`: one pass over the output for every input after the first."""
        return Work().elementwise(self.cout * self.size_out**2, max(1, self.joins - 1))


@operator
@dataclass(frozen=True)
class Add(_Joining):
    """The sum of all inputs."""

    op: ClassVar[str] = "add"

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        return graph.add("Sum", sources)

    def sources_alone(self, graph: GraphWriter) -> list[str]:
        """Return the input image once per input."""
        return [IMAGES] * max(1, self.joins)


@operator
@dataclass(frozen=True)
class Concat(_Joining):
    """All inputs concatenated along the channels; `cin` is the sum of their channels."""

    op: ClassVar[str] = "concat"

    def misfit(self, sources: Sequence[Layer]) -> str:
        """See `Layer.misfit`."""
        for source in sources:
            if source.size_out != self.size:
                return f"{source.name!r} gives {source.size_out} px; expected {self.size} px"
        together = sum(source.cout for source in sources)
        return (
            ""
            if together == self.cin or not sources
            else (f"its inputs have {together} channels together; expected {self.cin}")
        )

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        return graph.add("Concat", sources, axis=1)

    def sources_alone(self, graph: GraphWriter) -> list[str]:
        """Return the channels of the input image, split into one piece per input."""
        return graph.split(IMAGES, self.joins)
