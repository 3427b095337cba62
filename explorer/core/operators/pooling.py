"""Pooling over a window, and global pooling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import GraphWriter
from explorer.core.steps import Step
from explorer.core.work import Work


@dataclass(frozen=True)
class Pooling(Layer):
    """Base class of pooling over a window."""

    def work(self) -> Work:
        """See `Layer.work`."""
        return Work().by_channel(self.cin, self.kernel, self.stride, self.size, self.size_out)

    def window(self) -> dict[str, Any]:
        """Return the ONNX attributes of the window."""
        return {
            "kernel_shape": [self.kernel] * 2, "strides": [self.stride] * 2, "pads": [(self.kernel - 1) // 2] * 4
        }  # fmt: skip


@operator
@dataclass(frozen=True)
class AvgPool(Pooling):
    """The mean over the window; padding is not counted."""

    op: ClassVar[str] = "avgpool"

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        return graph.add("AveragePool", [sources[0]], count_include_pad=0, **self.window())


@operator
@dataclass(frozen=True)
class MaxPool(Pooling):
    """The maximum over the window."""

    op: ClassVar[str] = "maxpool"

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        return graph.add("MaxPool", [sources[0]], **self.window())


@operator
@dataclass(frozen=True)
class GlobalPool(Layer):
    """The mean over the whole feature map; the output is 1 x 1."""

    op: ClassVar[str] = "pool"
    written: ClassVar[tuple[str, ...]] = ()

    @property
    def fitted(self) -> bool:
        """See `Layer.fitted`."""
        return True

    @property
    def size_out(self) -> int:
        """Always 1."""
        return 1

    def work(self) -> Work:
        """See `Layer.work`."""
        return Work().add("pool", 1).add("pool in", self.cin * self.size**2)

    def steps(self) -> list[Step]:
        """See `Layer.steps`."""
        return [Step("mean", self.name, (self.source,), self.cout, 1, self.cin)]

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        return graph.add("GlobalAveragePool", [sources[0]])
