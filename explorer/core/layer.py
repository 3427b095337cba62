"""`Layer`: one operator of a network; the only description of networks that spaces, devices and supernets share.

A space lists the layers of an architecture; devices price them, supernets build them, diagrams draw them. A layer knows
its shapes, but neither weights nor the space that it comes from. Every operator is a subclass in
`explorer.core.operators`, which defines its shapes, counts, cost features, ONNX nodes and label. The torch module that
runs it is registered under the same name in `explorer.supernets.plain`; an operator of another package names it in
`module`, so that torch is imported only when a network is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeVar

from explorer.core.errors import InputError
from explorer.core.onnx_graph import GraphWriter
from explorer.core.registry import Registry
from explorer.core.steps import IMAGES, Step
from explorer.core.work import Work

ACTIVATIONS = ("none", "relu6", "relu", "hswish")
EPS = 1e-5  # of batch norm, as in torch
EXAMPLE = "expected for example 'conv 3-16 32px k3 s2 relu'"


@dataclass(frozen=True)
class Layer:
    """One operator with its shapes. Layers of equal cost compare equal: names and inputs are not compared.

    A subclass sets `op` and `written`, adds its own fields, and defines what it costs.

    Attributes:
        cin, cout: input and output channels (features of a linear layer; for "concat", `cin` is the sum over all
            inputs).
        size: height and width of the square input in pixels; 1 after global pooling.
        kernel, stride: size and stride of the spatial window, where there is one.
        act: activation of the output: "relu", "relu6", "hswish" or "none".
        name: unique within a network; not compared.
        inputs: names of the layers that feed this one, () for the image; not compared.
    """

    op: ClassVar[str] = ""
    written: ClassVar[tuple[str, ...]] = ("kernel", "stride", "act")  # fields that appear in the signature, in order
    many_inputs: ClassVar[bool] = False  # whether it takes several inputs
    flat: ClassVar[bool] = False  # whether the output is (n, cout) instead of (n, cout, h, w)
    module: ClassVar[str] = ""  # "package.module:name" of what makes its torch module, in other packages; see `runs`

    cin: int
    cout: int
    size: int
    kernel: int = 1
    stride: int = 1
    act: str = "none"
    name: str = field(default="", compare=False, kw_only=True)
    inputs: tuple[str, ...] = field(default=(), compare=False, kw_only=True)

    # shapes ---------------------------------------------------------------------------------------------------

    @property
    def size_out(self) -> int:
        """Height and width of the output."""
        return (self.size - 1) // self.stride + 1

    @property
    def fitted(self) -> bool:
        """Whether devices fitted to measurements (`LayerModel`) were fitted to layers of this kind."""
        return False

    @property
    def widest(self) -> int:
        """Largest number of channels inside the layer; diagrams derive the drawn height from it."""
        return self.cout

    def misfit(self, sources: Sequence[Layer]) -> str:
        """Return why this layer cannot read `sources`, the layers that feed it; "" where all shapes match."""
        if len(sources) > 1 and not self.many_inputs:
            return f"operator {self.op!r} takes one input, not {len(sources)}"
        for source in sources:
            if (source.cout, source.size_out) != (self.cin, self.size):
                given = f"{source.name!r} gives {source.cout} channels of {source.size_out} px"
                return f"{given}; expected {self.cin} channels of {self.size} px"
        return ""

    # costs ----------------------------------------------------------------------------------------------------

    def macs(self) -> int:
        """Multiply-accumulates for one image; convolutions and linear layers count, biases and norms do not."""
        return 0

    def params(self) -> int:
        """Number of trainable parameters, as in `torch.nn.Module.parameters()` of the built layer."""
        return 0

    def work(self) -> Work:
        """Return the cost features that a fitted latency is a weighted sum of; by default one pass over the output."""
        return Work().elementwise(self.cout * self.size_out**2)

    # ONNX graph, steps, and label ------------------------------------------------------------------------------------

    def write(self, graph: GraphWriter, sources: Sequence[str]) -> str:
        """Append the ONNX nodes that compute this layer to `graph`; return the name of the output value.

        Raises:
            InputError: the operator has no ONNX nodes; one that is never timed on a device needs none.
        """
        raise InputError(f"operator {self.op!r} does not implement write(), so it cannot be timed on devices")

    def sources_alone(self, graph: GraphWriter) -> list[str]:
        """Return the input values for timing the layer on its own; by default the input image."""
        return [IMAGES]

    def steps(self) -> list[Step]:
        """Return the steps that compute this layer in eight bits; the last one's output has the layer's name.

        Raises:
            InputError: the operator has no eight-bit form.
        """
        raise InputError(
            f"layer {self.signature!r} has no form for eight-bit runtimes; choose a network of the mobile, the lite or "
            "the unified family"
        )

    def words(self) -> str:
        """Return a short label, such as "conv k3"."""
        return f"{self.op} k{self.kernel}" if self.kernel > 1 else self.op

    @property
    def source(self) -> str:
        """Name of the tensor that the layer reads, where it reads one."""
        return self.inputs[0] if self.inputs else IMAGES

    # signature ------------------------------------------------------------------------------------------------

    @property
    def signature(self) -> str:
        """Everything that the cost depends on, as one readable line; the key in a device's block table.

        >>> from explorer.core.operators import Conv
        >>> Conv(3, 16, 32, 3, 2, "relu").signature
        'conv 3-16 32px k3 s2 relu'
        """
        words = [self.op, f"{self.cin}-{self.cout}", f"{self.size}px"]
        return " ".join([*words, *filter(None, (self._word(name) for name in self.written))])

    def _word(self, name: str) -> str:
        """Return a field as written in the signature; "" where it has its default value."""
        value = getattr(self, name)
        if name in ALWAYS:
            return ALWAYS[name].format(value)
        usual = next(f.default for f in fields(self) if f.name == name)
        return "" if value == usual else SOMETIMES.get(name, name + "={}").format(value)

    @staticmethod
    def of_signature(signature: str) -> Layer:
        """Parse a signature; the layer is equal in cost to the original and has no name.

        Raises:
            InputError: the text is not a signature.
        """
        op, _, rest = signature.partition(" ")
        if op not in OPERATORS:
            raise InputError(f"{signature[:160]!r} is not a layer; {EXAMPLE}")
        return OPERATORS[op]._read(signature, rest.split(" "))

    @classmethod
    def _read(cls, signature: str, words: list[str]) -> Layer:
        shape = re.fullmatch(rf"({N})-({N}) ({N})px", " ".join(words[:2]))
        if shape is None:
            raise InputError(f"{signature[:160]!r} is not a layer; {EXAMPLE}")
        if any(number.strip("0") == "" for number in re.findall(r"\d+", signature)):
            raise InputError(f"{signature[:160]!r} is not a layer: one of its numbers is 0")
        values: dict[str, Any] = dict(zip(("cin", "cout", "size"), map(int, shape.groups())))
        left = words[2:]
        try:
            for name in cls.written:
                found = cls._value(name, left[0]) if left else None
                if found is not None:
                    values |= found
                    left.pop(0)
        except ValueError as error:
            raise InputError(f"{signature[:160]!r} is not a layer: {error}") from error
        if left:
            raise InputError(
                f"{signature[:160]!r} is not a layer: {left[0][:40]!r} is not part of a {cls.op}; {EXAMPLE}"
            )
        return cls(**values)

    @classmethod
    def _value(cls, name: str, word: str) -> dict[str, Any] | None:
        """Return the fields that a word of a signature sets, or None where the word belongs to another field."""
        usual = next(f.default for f in fields(cls) if f.name == name)
        if isinstance(usual, bool):
            return {name: not usual} if word == SOMETIMES.get(name, name + "={}") else None
        shape = {**SOMETIMES, **ALWAYS}.get(name, name + "={}")
        text = "|".join(ACTIVATIONS) if isinstance(usual, str) else N
        found = re.fullmatch(re.escape(shape).replace(r"\{\}", f"({text})"), word)
        return None if found is None else {name: found[1] if isinstance(usual, str) else int(found[1])}


N = r"\d{1,6}"  # a number in a signature has at most 6 digits
ALWAYS = {"mid": "m{}", "kernel": "k{}", "stride": "s{}", "act": "{}"}
SOMETIMES = {
    "bn": "nobn", "groups": "g{}", "dilation": "d{}", "joins": "x{}", "se": "se{}", "residual": "skip",
    "before": "after-{}", "bias": "bias", "affine": "unscaled",
}  # fmt: skip

OPERATORS: Registry[type[Layer]] = Registry("operator", "explorer.operators", home="explorer.core.operators")
L = TypeVar("L", bound=type[Layer])


def operator(kind: L) -> L:
    """Register a `Layer` subclass under its `op`; used as a class decorator."""
    OPERATORS.register(kind.op, kind)
    return kind


@dataclass(frozen=True)
class Part:
    """A piece of a network that depends on a few genes only.

    Costs are compiled from parts: `layers(choices)` is called once for every combination of these genes' options. After
    that, the cost of a population is array arithmetic.

    Attributes:
        genes: positions of the genes that the part depends on.
        layers: function from these genes' option indices to the layers that run; () where the part is skipped.
    """

    genes: tuple[int, ...]
    layers: Callable[[tuple[int, ...]], tuple[Layer, ...]]


def round_width(width: float, divisor: int = 8) -> int:
    """Round to the nearest multiple of `divisor`, at most 10 % below `width` (as in MobileNet and once-for-all)."""
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded
