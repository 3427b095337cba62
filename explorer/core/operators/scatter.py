"""Scatter channels to given positions among more channels; pruned layers need it before a sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from explorer.core.layer import Layer, operator
from explorer.core.onnx_graph import GraphWriter


@operator
@dataclass(frozen=True)
class Scatter(Layer):
    """Copies every input channel to one of the output channels; the other output channels are zero.

    Attributes:
        places: output channel of every input channel; not compared.
    """

    op: ClassVar[str] = "scatter"

    places: tuple[int, ...] = field(default=(), compare=False, kw_only=True)

    def misfit(self, sources: Sequence[Layer]) -> str:
        """See `Layer.misfit`."""
        distinct = len(set(self.places)) == len(self.places) == self.cin
        if not distinct or any(not 0 <= place < self.cout for place in self.places):
            return f"places {list(self.places)[:20]} must be {self.cin} different channel indices below {self.cout}"
        return super().misfit(sources)

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`: append one channel of zeros, then gather each output channel from its source."""
        wide = graph.add("Pad", [sources[0], graph.integers([0] * 5 + [1, 0, 0])])
        where = dict(zip(self.places or range(self.cin), range(self.cin)))
        chosen = graph.integers([where.get(channel, self.cin) for channel in range(self.cout)])
        return graph.add("Gather", [wide, chosen], axis=1)
