"""Convolution: activation of the input, convolution, batch norm, activation of the output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from explorer.core.layer import EPS, Layer, operator
from explorer.core.onnx_graph import GraphWriter
from explorer.core.steps import Step, activated
from explorer.core.work import IMAGE, Work


@operator
@dataclass(frozen=True)
class Conv(Layer):
    """A square convolution with "same" padding.

    Attributes:
        bn: whether batch norm follows.
        bias: whether there is a bias; only without batch norm.
        groups: number of groups; equal to `cin` for a depthwise convolution.
        dilation: distance between neighbouring taps of the kernel, in pixels.
        before: activation of the input.
        affine: whether the batch norm has a trained scale and shift.
        eps: added to the variances of the batch norm; not compared.
    """

    op: ClassVar[str] = "conv"
    written: ClassVar[tuple[str, ...]] = (
        "kernel", "stride", "act", "bn", "groups", "dilation", "before", "bias", "affine",
    )  # fmt: skip

    bn: bool = True
    groups: int = 1
    dilation: int = 1
    before: str = "none"
    bias: bool = False
    affine: bool = True
    eps: float = field(default=EPS, compare=False, kw_only=True)

    @property
    def fitted(self) -> bool:
        """See `Layer.fitted`: devices are fitted to 1x1 convolutions and to stems (few input channels)."""
        return self.groups == 1 and (self.kernel == 1 or self.cin <= IMAGE)

    def macs(self) -> int:
        """See `Layer.macs`."""
        return self.kernel**2 * self.cin // self.groups * self.cout * self.size_out**2

    def params(self) -> int:
        """See `Layer.params`."""
        return self.kernel**2 * self.cin // self.groups * self.cout + self.cout * (
            2 * (self.bn and self.affine) + self.bias
        )

    def work(self) -> Work:
        """See `Layer.work`."""
        work, area = Work(), self.size**2
        if self.groups > 1:
            return work.by_channel(self.cin, self.kernel, self.stride, self.size, self.size_out)
        if self.kernel > 1 and self.cin > IMAGE:
            return work.product(self.kernel**2 * self.cin, self.cout, self.size_out**2)
        if self.size == 1:
            return work.vector(self.cin, self.cout)
        if self.kernel == 1:
            work.product(self.cin, self.cout, area)
            return work.hswish(self.cout * area) if self.act == "hswish" else work
        return work.add("stem", 1).add("stem out", self.cout * self.size_out**2)

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """See `Layer.write`."""
        x = graph.activate(sources[0], self.before)
        return graph.conv(
            x, self.cin, self.cout, self.kernel, self.stride, self.groups, self.act, self.bn, self.dilation
        )

    def steps(self) -> list[Step]:
        """See `Layer.steps`."""
        if self.before != "none" or self.dilation > 1 or self.groups not in (1, self.cin) or self.bias:
            return super().steps()
        kind = "conv" if self.groups == 1 else "depthwise"
        return activated(
            kind, self.name, self.source, self.cout, self.size_out, self.cin, self.act, self.kernel, self.stride
        )

    def words(self) -> str:
        """Return a label, such as "conv k1"."""
        return f"conv k{self.kernel}"
