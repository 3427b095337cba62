"""`Layer`: the narrow waist between spaces and everything that looks at a network.

A space lists the layers of an architecture; devices price them, supernets build them, pictures draw them.
A layer knows shapes, never weights and never the space it came from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from explorer.core.errors import InputError

ACTIVATIONS = ("none", "relu", "hswish")
OPERATORS = (
    "conv", "mbconv", "factorized", "norm", "avgpool", "maxpool", "add", "concat", "scatter", "zero", "pool", "linear"
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """One operator with its shapes. Two layers are equal when they cost the same: names do not count.

    Attributes:
        op: "conv" (convolution, batch norm where `bn`, activation), "mbconv" (expand 1x1, depthwise, optional
            squeeze-and-excitation, project 1x1), "pool" (global average) or "linear" (with bias). Cells also have
            "norm" (batch norm, activation), "avgpool" and "maxpool" (over `kernel`, the border left out), "add" and
            "concat" (of all inputs), "scatter" (input channels go to some of the output's, the others are zero: what
            pruning leaves before a sum), "zero" (nothing passes) and "factorized" (two 1x1 convolutions of stride 2,
            the second one pixel further, side by side, then batch norm: DARTS's skip that halves the size).
        cin, cout: input and output channels (features for "linear"; of all inputs together for "concat").
        size: height and width of the (square) input; 1 behind the pooling.
        kernel, stride: of the spatial convolution.
        mid: expanded channels of an "mbconv"; equal to `cin` means that it has no expand convolution.
        mixed: "mbconv" only: kernels, ascending, of equal groups of the middle channels; () where all have `kernel`,
            which is otherwise the largest of them.
        se: squeeze width of its squeeze-and-excitation, 0 where it has none.
        act: "relu", "hswish" or "none".
        residual: the input is added to the output.
        bn: "conv" only: followed by batch norm (else it has neither norm nor bias).
        groups, dilation: "conv" only; `groups` equal to `cin` is a depthwise convolution.
        before: activation of the input, "conv" and "factorized" only.
        joins: number of inputs of an "add" or "concat".
        name: unique within a network; not compared.
        inputs: names of the layers that feed this one, () for the image; not compared.
        places: which of a supernet's groups run, in the order of `mixed`; of a "scatter" the output channel of every
            input channel; not compared.
    """

    op: str
    cin: int
    cout: int
    size: int
    kernel: int = 1
    stride: int = 1
    mid: int = 0
    se: int = 0
    act: str = "none"
    residual: bool = False
    bn: bool = True
    mixed: tuple[int, ...] = ()
    groups: int = 1
    dilation: int = 1
    before: str = "none"
    joins: int = 0
    name: str = field(default="", compare=False)
    inputs: tuple[str, ...] = field(default=(), compare=False)
    places: tuple[int, ...] = field(default=(), compare=False)

    @property
    def size_out(self) -> int:
        """Height and width of the output."""
        return 1 if self.op in ("pool", "linear") else (self.size - 1) // self.stride + 1

    @property
    def depthwise(self) -> tuple[tuple[int, int], ...]:
        """(kernel, channels) of every depthwise convolution of an "mbconv": one per distinct kernel, ascending."""
        if not self.mixed:
            return ((self.kernel, self.mid),)
        group = self.mid // len(self.mixed)
        return tuple((k, group * self.mixed.count(k)) for k in sorted(set(self.mixed)))

    @property
    def signature(self) -> str:
        """All that the cost depends on, as one readable line: the key of a device's block table."""
        head = f"{self.op} {self.cin}-{self.cout} {self.size}px"
        if self.op == "conv":
            groups = f" g{self.groups}" * (self.groups > 1) + f" d{self.dilation}" * (self.dilation > 1)
            line = f"{head} k{self.kernel} s{self.stride} {self.act}{'' if self.bn else ' nobn'}{groups}"
            return line + f" after-{self.before}" * (self.before != "none")
        if self.op == "mbconv":
            flags = f" se{self.se}" * (self.se > 0) + " skip" * self.residual
            kernels = "+".join(f"{k}x{n}" for k, n in self.depthwise) if self.mixed else str(self.kernel)
            return f"{head} m{self.mid} k{kernels} s{self.stride} {self.act}{flags}"
        if self.op in ("pool", "linear"):
            return head
        joins = f" x{self.joins}" * (self.joins > 0)
        line = f"{head} k{self.kernel} s{self.stride} {self.act}{joins}"
        return line + f" after-{self.before}" * (self.before != "none")

    @classmethod
    def of_signature(cls, signature: str) -> Layer:
        """The layer that a signature tells of: equal in cost, without a name.

        Raises:
            InputError: it is no signature.
        """
        found = SIGNATURE.fullmatch(signature)
        if found is None:
            raise InputError(f"{signature!r} is no layer; expected for example 'conv 3-16 32px k3 s2 relu'")
        if any(number.strip("0") == "" for number in re.findall(r"\d+", signature)):
            raise InputError(f"{signature!r} is no layer: one of its numbers is 0")
        op, kernels, act = found["op"], found["kernels"] or "1", found["act"] or "none"
        cin, cout, size, mid, stride, se, groups_of, dilation, joins = (int(found[n] or d) for n, d in NUMBERS)
        groups = [(int(k), int(n)) for k, n in (part.split("x") for part in kernels.split("+") if "x" in part)]
        unit = math.gcd(*(n for _, n in groups)) if groups else 1
        if sum(n // unit for _, n in groups) > GROUPS:
            raise InputError(f"{signature!r} is no layer: it has more than {GROUPS} groups of kernels")
        mixed = tuple(k for k, n in groups for _ in range(n // unit))
        kernel = max((k for k, _ in groups), default=0) or int(kernels)
        return cls(
            op, cin, cout, size, kernel, stride, mid, se, act, bool(found["skip"]), not found["nobn"], mixed, groups_of,
            dilation, found["before"] or "none", joins,
        )  # fmt: skip


GROUPS = 64  # of kernels in one block
N = r"\d{1,6}"  # no number of a layer is longer
SIGNATURE = re.compile(
    rf"(?P<op>{'|'.join(OPERATORS)}) (?P<cin>{N})-(?P<cout>{N}) (?P<size>{N})px(?: m(?P<mid>{N}))?"
    rf"(?: k(?P<kernels>{N}|{N}x{N}(?:\+{N}x{N})*) s(?P<stride>{N}) (?P<act>none|relu|hswish))?(?P<nobn> nobn)?"
    rf"(?: g(?P<groups>{N}))?(?: d(?P<dilation>{N}))?(?: x(?P<joins>{N}))?(?: se(?P<se>{N}))?(?P<skip> skip)?"
    r"(?: after-(?P<before>relu|hswish))?"
)
NUMBERS = (
    ("cin", 0), ("cout", 0), ("size", 0), ("mid", 0), ("stride", 1), ("se", 0), ("groups", 1), ("dilation", 1),
    ("joins", 0),
)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """A piece of a network that depends on a few genes only.

    Costs are compiled from parts: `layers(choices)` is asked once for every combination of those genes' options,
    after which the cost of a population is array arithmetic.

    Attributes:
        genes: positions of the genes that this part depends on.
        layers: option indices of these genes -> the layers that run, () where the part is skipped.
    """

    genes: tuple[int, ...]
    layers: Callable[[tuple[int, ...]], tuple[Layer, ...]]


def round_width(width: float, divisor: int = 8) -> int:
    """The multiple of 8 nearest to `width`, never more than 10 % below it (MobileNet's and once-for-all's rule)."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded
