"""The initial network of a multi-granularity search: cells in which every operation runs on every edge.

Liu et al. 2025 ("MG-DARTS"), with cells of Liu et al. 2019 ("DARTS"): two inputs, several nodes, seven operations per
edge; every cell is searched independently. Every operation ends in a batch norm, into which its scale can be folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from explorer.core.layer import Layer
from explorer.core.operators import Add, AvgPool, Concat, Conv, Factorized, GlobalPool, Linear, MaxPool, Norm

STEM = 3  # channels of the stem, as a multiple of the width
KINDS = ("skip", "sep_3", "sep_5", "dil_3", "dil_5", "avg_3", "max_3")


def cell_layers(
    width: int | Sequence[int] = 8, depth: int = 3, nodes: int = 4, channels: int = 1, classes: int = 10,
    size: int = 28, stem_stride: int = 1,
) -> list[Layer]:  # fmt: skip
    """Return all layers of a network of cells.

    Args:
        width: channels of a node in the first cells, doubled at every cell that halves the size; or a sequence with the
            channels in each of the three stages.
        depth: number of cells, at least 3; the ones after the first and after the second third halve the size.
        nodes: number of nodes (sums) in a cell; every node reads both inputs of the cell and all earlier nodes.
        channels, classes, size: channels, number of classes, and height and width of the images.
        stem_stride: 2 halves the size before the first cell, so that a training step takes about a quarter of the time.
    """
    widths = (width, 2 * width, 4 * width) if isinstance(width, int) else tuple(width)
    chain: list[Layer] = [Conv(channels, STEM * widths[0], size, 3, stem_stride, name="stem")]
    before = last = chain[0]
    stage = 1
    for i in range(depth):
        reduces = i in (depth // 3, 2 * depth // 3)
        stage += reduces
        c = widths[stage - 1]
        name = f"stage{stage}.{i + 1}"
        pixels = last.size_out
        halved = before.size_out != pixels
        first = Factorized if halved else Conv
        chain.append(first(before.cout, c, before.size_out, 1, 1 + halved, before="relu", name=f"{name}.in0",
                           inputs=(before.name,)))  # fmt: skip
        chain.append(Conv(last.cout, c, pixels, 1, before="relu", name=f"{name}.in1", inputs=(last.name,)))
        sources, sums = [f"{name}.in0", f"{name}.in1"], []
        for node in range(nodes):
            ends = []
            for j, source in enumerate(sources):
                stride = 2 if reduces and j < 2 else 1
                size_in = pixels if j < 2 else (pixels - 1) // (1 + reduces) + 1
                for kind in KINDS:
                    made = list(_operation(kind, c, size_in, stride, f"{name}.{node + 2}.{kind}.{j}", source))
                    chain += made
                    ends.append(made[-1].name)
            sums.append(f"{name}.{node + 2}")
            out = (pixels - 1) // (1 + reduces) + 1
            chain.append(Add(c, c, out, joins=len(ends), name=sums[-1], inputs=tuple(ends)))
            sources.append(sums[-1])
        wide = nodes * c
        chain.append(Concat(wide, wide, out, joins=nodes, name=f"{name}.out", inputs=tuple(sums)))
        before, last = last, chain[-1]
    chain.append(GlobalPool(last.cout, last.cout, last.size_out, name="pool", inputs=(last.name,)))
    chain.append(Linear(last.cout, classes, 1, name="classifier", inputs=("pool",)))
    return chain


def stage_ends(layers: list[Layer], stages: int) -> list[str]:
    """Return the names of the cell outputs at which the stages of a search end; the last one is the last cell's."""
    ends = [layer.name for layer in layers if isinstance(layer, Concat)]
    return [ends[(i + 1) * len(ends) // stages - 1] for i in range(stages)]


def _operation(kind: str, c: int, size: int, stride: int, name: str, source: str) -> Iterator[Layer]:
    what, _, kernel = kind.partition("_")
    k = int(kernel or 1)
    if what == "skip":
        if stride == 2:
            yield Factorized(c, c, size, 1, 2, before="relu", name=name, inputs=(source,))
        else:
            yield Norm(c, c, size, name=name, inputs=(source,))
    elif what in ("avg", "max"):
        pool = (AvgPool if what == "avg" else MaxPool)(c, c, size, k, stride, name=f"{name}.pool", inputs=(source,))
        yield pool
        yield Norm(c, c, pool.size_out, name=name, inputs=(pool.name,))
    else:
        twice = what == "sep"
        for i in range(1 + twice):
            step = stride if i == 0 else 1
            wide = Conv(c, c, size, k, step, bn=False, groups=c, dilation=1 if twice else 2, before="relu",
                         name=f"{name}.dw{i}", inputs=(source,))  # fmt: skip
            yield wide
            size = wide.size_out
            source = name if i == twice else f"{name}.pw{i}"
            yield Conv(c, c, size, 1, name=source, inputs=(wide.name,))
