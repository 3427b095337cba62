"""A network as eight-bit runtimes compute it: elementary steps, each with one output tensor.

Layers say which steps they consist of (`Layer.steps`). Memory planners, the writers of eight-bit files and their
calibration read steps; none of them knows what a block is. Batch norms and normalisation are part of the weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from explorer.core.errors import InputError

if TYPE_CHECKING:
    from explorer.core.layer import Layer

IMAGES = "images"  # name of the input tensor
WEIGHTED = ("conv", "depthwise", "linear")  # kinds that have weights and a bias
SIXFOLD = 6.0  # what a gate's output is larger by than the attention that it stands for


@dataclass(frozen=True)
class Step:
    """One operator of an eight-bit runtime.

    Attributes:
        kind: "conv", "depthwise", "linear", "add", "scale" (a tensor times one number per channel), "mean" (over all
            pixels) or "hswish".
        name: name of the output tensor; for a weighted step also of its weights.
        inputs: names of the tensors that it reads.
        channels, size: channels, and height and width, of the output.
        cin: channels of the (first) input.
        kernel, stride: of a convolution; its padding is that of torch, half a kernel on every side.
        act: what bounds the output: "none", "relu" or "relu6". Runtimes apply it while they round.
        shift: added to the bias: the 3 of a hard sigmoid, which is relu6(x + 3) / 6. Its division by 6 is a part of the
            next weights, see `divided`.
        divided: number by which the weights are divided.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    channels: int
    size: int
    cin: int
    kernel: int = 1
    stride: int = 1
    act: str = "none"
    shift: float = 0.0
    divided: float = 1.0

    @property
    def stored_kernel(self) -> int:
        """Size of the kernel in a `.tflite` file.

        torch pads a convolution on every side; "same" padding at stride 2 would not pad in front of an even size. A
        kernel with one more row and column of zeros is padded as torch does, without a padded copy of the input.
        """
        return self.kernel + (self.kernel > 1 and self.stride == 2)

    @property
    def elements(self) -> int:
        """Number of values of the output, for one image."""
        return self.channels * self.size**2


def steps_of(layers: Sequence[Layer]) -> list[Step]:
    """Return the steps of a network, in the order in which they run.

    Raises:
        InputError: an operator has no eight-bit form.
    """
    return [step for layer in layers for step in layer.steps()]


def has_steps(layers: Sequence[Layer]) -> bool:
    """Return whether every operator of a network has an eight-bit form."""
    try:
        return bool(steps_of(layers))
    except InputError:
        return False


def activated(kind: str, name: str, source: str, channels: int, size: int, cin: int, act: str,
              kernel: int = 1, stride: int = 1, divided: float = 1.0) -> list[Step]:  # fmt: skip
    """Return a convolution with its activation: a hard swish is a step of its own, the others are bounds."""
    own = f"{name}.linear" if act == "hswish" else name
    bound = "none" if act == "hswish" else act
    found = [Step(kind, own, (source,), channels, size, cin, kernel, stride, bound, divided=divided)]
    return [*found, Step("hswish", name, (own,), channels, size, channels)] if act == "hswish" else found
