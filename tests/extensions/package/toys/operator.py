"""An operator: channels are shuffled between groups (Zhang et al. 2018, "ShuffleNet")."""

from dataclasses import dataclass

from torch import nn

from explorer.core.layer import Layer, operator
from explorer.supernets.plain import runs


@operator
@dataclass(frozen=True)
class Shuffle(Layer):
    op = "shuffle"
    written = ("parts",)

    parts: int = 2

    def write(self, graph, sources):
        c, s = self.cout // self.parts, self.size
        x = graph.add("Reshape", [sources[0], graph.integers([-1, self.parts, c, s, s])])
        x = graph.add("Transpose", [x], perm=[0, 2, 1, 3, 4])
        return graph.add("Reshape", [x, graph.integers([-1, self.cout, s, s])])


@runs("shuffle")
class ShuffleChannels(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.parts = layer.parts

    def forward(self, x):
        return x.unflatten(1, (self.parts, -1)).transpose(1, 2).flatten(1, 2)
