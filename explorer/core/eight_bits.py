"""Numbers of a network in eight bits: scales, zero points, and integer weights. No torch.

As LiteRT and TFLite-Micro read them: activations are int8 with one scale and zero point per tensor, weights are int8,
symmetric, with one scale per output channel, and biases are int32 with the scale of the input times that of the weights
(Jacob et al. 2018, "Quantization and training of neural networks for efficient integer-arithmetic-only inference").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core.steps import IMAGES, WEIGHTED, Step

LOW, HIGH = -128, 127  # of activations
BITS = 8  # of weights
Weights = Mapping[str, tuple[np.ndarray, np.ndarray]]  # step -> weights (out, in per group, k, k), and bias (out,)
Ranges = Mapping[str, tuple[float, float]]  # tensor -> its least and its greatest value


@dataclass(frozen=True)
class Scale:
    """How real values become eight bits: real = scale * (integer - zero)."""

    scale: float
    zero: int

    @classmethod
    def of(cls, low: float, high: float) -> Scale:
        """Return the scale of a range; 0 is always a value that it has exactly, as padding needs it."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32(max(high - low, 1e-6) / (HIGH - LOW)))
        return cls(scale, int(np.clip(round(LOW - low / scale), LOW, HIGH)))

    @property
    def range(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return self.scale * (LOW - self.zero), self.scale * (HIGH - self.zero)


@dataclass(frozen=True)
class Constants:
    """The integers of a weighted step.

    Attributes:
        weights: int8, (out, in per group, k, k), or (out, in) of a linear step.
        scales: (out,) float32.
        bias: (out,) int32; its scale is the input's times `scales`.
    """

    weights: np.ndarray
    scales: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True)
class EightBits:
    """A network in eight bits.

    Attributes:
        steps: the steps, in order.
        scales: tensor -> scale, of the images and of every step's output.
        constants: weighted step -> its integers.
        channels, size: channels, and height and width, of the images.
    """

    steps: tuple[Step, ...]
    scales: dict[str, Scale]
    constants: dict[str, Constants]
    channels: int
    size: int


def eight_bits(
    steps: Sequence[Step], weights: Weights, ranges: Ranges, channels: int, size: int, bits: int = BITS
) -> EightBits:
    """Quantise a network.

    Args:
        steps: the steps, in order.
        weights: float weights of every weighted step, with batch norm and normalisation folded in.
        ranges: of the images and of every step's output. A bound that the step's activation gives is kept.
        channels, size: channels, and height and width, of the images.
        bits: bits of the weights; 7 for processors without instructions for eight bits, where sums of products may
            saturate.
    """
    scales = {IMAGES: Scale.of(*ranges[IMAGES])}
    constants: dict[str, Constants] = {}
    top = 2 ** (bits - 1) - 1
    for step in steps:
        low, high = ranges[step.name]
        if step.act != "none":
            low, high = max(low, 0.0), min(high, 6.0) if step.act == "relu6" else high
        scales[step.name] = Scale.of(low, high)
        if step.kind in WEIGHTED:
            weight, bias = weights[step.name]
            weight = weight / step.divided
            own = np.abs(weight).reshape(len(weight), -1).max(1)
            by = (np.maximum(own, 1e-8) / top).astype(np.float32)
            whole = np.clip(np.round(weight / by.reshape(-1, *[1] * (weight.ndim - 1))), -top, top).astype(np.int8)
            unit = scales[step.inputs[0]].scale * by.astype(np.float64)
            limit = 2**31 - 1
            summed = np.clip(np.round((bias + step.shift) / unit), -limit, limit).astype(np.int32)
            constants[step.name] = Constants(whole, by, summed)
    return EightBits(tuple(steps), scales, constants, channels, size)
