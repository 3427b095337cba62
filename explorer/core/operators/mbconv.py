"""Inverted residual block: expand 1x1, depthwise, squeeze-and-excitation, project 1x1 (Sandler et al. 2018)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any, ClassVar

from explorer.core.layer import EPS, Layer, N, operator
from explorer.core.onnx_graph import GraphWriter
from explorer.core.steps import SIXFOLD, Step, activated
from explorer.core.work import CACHE, Work

GROUPS = 64  # maximum number of kernel groups in one block


@operator
@dataclass(frozen=True)
class MBConv(Layer):
    """An inverted residual block of MobileNetV2 and V3.

    Attributes:
        mid: channels after the expansion; equal to `cin` means that there is no expand convolution.
        se: squeezed channels of the squeeze-and-excitation; 0 where there is none.
        residual: whether the input is added to the output.
        mixed: ascending kernels of equal groups of the middle channels (Tan and Le 2019, "MixConv"), of which `kernel`
            is the largest; () where all middle channels have the kernel `kernel`.
        places: indices of the supernet's groups that run, in the order of `mixed`; not compared.
        eps: added to the variances of the batch norms; not compared.
    """

    op: ClassVar[str] = "mbconv"
    written: ClassVar[tuple[str, ...]] = ("mid", "kernel", "stride", "act", "se", "residual")

    mid: int = 0
    se: int = 0
    residual: bool = False
    mixed: tuple[int, ...] = ()
    places: tuple[int, ...] = field(default=(), compare=False, kw_only=True)
    eps: float = field(default=EPS, compare=False, kw_only=True)

    @property
    def fitted(self) -> bool:
        """See `Layer.fitted`."""
        return True

    @property
    def depthwise(self) -> tuple[tuple[int, int], ...]:
        """(kernel, channels) of every depthwise convolution: one per distinct kernel, ascending."""
        if not self.mixed:
            return ((self.kernel, self.mid),)
        group = self.mid // len(self.mixed)
        return tuple((k, group * self.mixed.count(k)) for k in sorted(set(self.mixed)))

    @property
    def expands(self) -> bool:
        """Whether there is an expand convolution."""
        return self.mid != self.cin

    @property
    def widest(self) -> int:
        """The larger of the middle and the output channels."""
        return max(self.mid, self.cout)

    def macs(self) -> int:
        """See `Layer.macs`."""
        area = self.size_out**2
        expand = self.cin * self.mid * self.size**2 if self.expands else 0
        depthwise = sum(channels * k**2 for k, channels in self.depthwise) * area
        return expand + depthwise + 2 * self.mid * self.se + self.mid * self.cout * area

    def params(self) -> int:
        """See `Layer.params`."""
        expand = self.cin * self.mid + 2 * self.mid if self.expands else 0
        depthwise = sum(channels * k**2 for k, channels in self.depthwise) + 2 * self.mid
        squeeze = 2 * self.mid * self.se + self.se + self.mid if self.se else 0
        return expand + depthwise + squeeze + self.mid * self.cout + 2 * self.cout

    def work(self) -> Work:
        """See `Layer.work`.

        Raises:
            InputError: no feature describes the kernel and stride.
        """
        work, mid, area, out = Work(), self.mid, self.size**2, self.size_out**2
        for kernel, channels in self.depthwise:
            work.depthwise(channels, kernel, self.stride, self.size_out)
        if self.expands:
            work.product(self.cin, mid, area)
        work.add("dw in", mid * area).add("dw channels", mid)
        work.add("dw far", max(0, mid * (area + out) - CACHE // 4))
        if self.se:
            work.add("se", 1).add("se out", mid * out).add("se weights", mid * self.se).add("se channels", mid)
        if self.act == "hswish":
            work.hswish(mid * (out + (area if self.expands else 0)))
        work.product(mid, self.cout, out)
        return work.elementwise(self.cout * out) if self.residual else work

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        x, mid = sources[0], self.mid
        y = graph.conv(x, self.cin, mid, act=self.act) if self.expands else x
        y = self._write_depthwise(graph, y)
        if self.se:
            gate = graph.conv(graph.add("GlobalAveragePool", [y]), mid, self.se, act="relu")
            gate = graph.add("HardSigmoid", [graph.conv(gate, self.se, mid)], alpha=1 / 6, beta=0.5)
            y = graph.add("Mul", [y, gate])
        y = graph.conv(y, mid, self.cout)
        return graph.add("Add", [x, y]) if self.residual else y

    def _write_depthwise(self, graph: GraphWriter, x: str) -> str:
        groups = self.depthwise
        if len(groups) == 1:
            return graph.conv(x, self.mid, self.mid, groups[0][0], self.stride, groups=self.mid, act=self.act)
        outputs = []
        for start, (kernel, channels) in zip(accumulate((n for _, n in groups), initial=0), groups):
            ends = [graph.integers([n]) for n in (start, start + channels, 1)]  # start, end, axis of the channels
            part = graph.add("Slice", [x, *ends])
            outputs.append(graph.conv(part, channels, channels, kernel, self.stride, groups=channels, act=self.act))
        return graph.add("Concat", outputs, axis=1)

    def steps(self) -> list[Step]:
        """See `Layer.steps`; kernels of several sizes are computed as the largest, with zeros around the smaller."""
        name, mid, out, found = self.name, self.mid, self.size_out, list[Step]()
        source = self.source
        if self.expands:
            found += activated("conv", f"{name}.expand", source, mid, self.size, self.cin, self.act)
            source = f"{name}.expand"
        found += activated("depthwise", f"{name}.depthwise", source, mid, out, mid, self.act, self.kernel, self.stride)
        source, divided = f"{name}.depthwise", 1.0
        if self.se:
            found += [
                Step("mean", f"{name}.mean", (source,), mid, 1, mid),
                Step("conv", f"{name}.reduce", (f"{name}.mean",), self.se, 1, mid, act="relu"),
                Step("conv", f"{name}.gate", (f"{name}.reduce",), mid, 1, self.se, act="relu6", shift=3.0),
                Step("scale", f"{name}.scaled", (source, f"{name}.gate"), mid, out, mid),
            ]
            source, divided = f"{name}.scaled", SIXFOLD
        last = f"{name}.project" if self.residual else name
        found.append(Step("conv", last, (source,), self.cout, out, mid, divided=divided))
        if self.residual:
            found.append(Step("add", name, (last, self.source), self.cout, out, self.cout))
        return found

    def words(self) -> str:
        """Return kernel and expansion, for example "k5 e3"."""
        kernels = "+".join(str(k) for k, _ in self.depthwise)
        return f"k{kernels} e{self.mid / self.cin:.3g}"

    def _word(self, name: str) -> str:
        if name == "kernel" and self.mixed:
            return "k" + "+".join(f"{k}x{n}" for k, n in self.depthwise)
        return super()._word(name)

    @classmethod
    def _value(cls, name: str, word: str) -> dict[str, Any] | None:
        if name != "kernel" or not re.fullmatch(rf"k{N}x{N}(\+{N}x{N})*", word):
            return super()._value(name, word)
        groups = [(int(k), int(n)) for k, n in (part.split("x") for part in word[1:].split("+"))]
        unit = math.gcd(*(n for _, n in groups))
        if sum(n // unit for _, n in groups) > GROUPS:
            raise ValueError(f"it has more than {GROUPS} groups of kernels")
        return {"kernel": max(k for k, _ in groups), "mixed": tuple(k for k, n in groups for _ in range(n // unit))}
