"""An operator: channels are shuffled between groups (Zhang et al. 2018, "ShuffleNet")."""

from dataclasses import dataclass

from explorer.core.layer import Layer, operator


@operator
@dataclass(frozen=True)
class Shuffle(Layer):
    op = "shuffle"
    written = ("parts",)
    module = "toys.operator:channel_shuffle"

    parts: int = 2

    def write(self, graph, sources):
        c, s = self.cout // self.parts, self.size
        x = graph.add("Reshape", [sources[0], graph.integers([-1, self.parts, c, s, s])])
        x = graph.add("Transpose", [x], perm=[0, 2, 1, 3, 4])
        return graph.add("Reshape", [x, graph.integers([-1, self.cout, s, s])])


def channel_shuffle(layer):
    from torch import nn

    return nn.ChannelShuffle(layer.parts)
