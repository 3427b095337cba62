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
OFF = -3.0  # where a hard swish ends
TOP = 127  # of weights, and of what two neighbours of one sign may add up to, see `unit_of`
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


def eight_bits(steps: Sequence[Step], weights: Weights, ranges: Ranges, channels: int, size: int) -> EightBits:
    """Quantise a network.

    Args:
        steps: the steps, in order.
        weights: float weights of every weighted step, with batch norm and normalisation folded in.
        ranges: of the images and of every step's output. A bound that the step's activation gives is kept, and what a
            hard swish reads ends at -3, below which it is 0.
        channels, size: channels, and height and width, of the images.
    """
    scales = {IMAGES: Scale.of(*ranges[IMAGES])}
    constants: dict[str, Constants] = {}
    ending = before_hard_swishes(steps)
    for step in steps:
        low, high = ranges[step.name]
        if step.act != "none":
            low, high = max(low, 0.0), min(high, 6.0) if step.act == "relu6" else high
        if step.name in ending:
            low = max(low, OFF)
        scales[step.name] = Scale.of(low, high)
        if step.kind in WEIGHTED:
            weight, bias = weights[step.name]
            weight = weight / step.divided
            by = np.maximum(unit_of(weight, step.kind), _least_unit(bias + step.shift, scales[step.inputs[0]]))
            whole = np.clip(np.round(weight / by.reshape(-1, *[1] * (weight.ndim - 1))), -TOP, TOP).astype(np.int8)
            unit = scales[step.inputs[0]].scale * by.astype(np.float64)
            constants[step.name] = Constants(whole, by, whole_bias(bias + step.shift, unit))
    return EightBits(tuple(steps), scales, constants, channels, size)


def whole_bias(bias: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return real biases (out,) as int32 of this unit; one that is too large is cut."""
    limit = 2**31 - 1
    return np.clip(np.round(bias / unit), -limit, limit).astype(np.int32)


def _least_unit(bias: np.ndarray, given: Scale) -> np.ndarray:
    """Return the smallest scales of weights (out,) with which the biases fit: those of channels without any weight."""
    return (np.abs(bias) / (given.scale * 2**30)).astype(np.float32)


def before_hard_swishes(steps: Sequence[Step]) -> set[str]:
    """Return the tensors that only hard swishes read; whatever lies below `OFF` there has no effect."""
    readers: dict[str, set[str]] = {}
    for step in steps:
        for source in step.inputs:
            readers.setdefault(source, set()).add(step.kind)
    return {name for name, kinds in readers.items() if kinds == {"hswish"}}


def unit_of(weight: np.ndarray, kind: str) -> np.ndarray:
    """Return the scale of every output channel's weights, (out,) float32.

    Processors with AVX2 alone add the products of two neighbouring inputs in 16 bits, which overflow where both weights
    are large and have one sign. So two such neighbours are 127 together at most, and the result is the same everywhere;
    depthwise convolutions are computed in another way. Of larger kernels the order of the inputs is not known; there
    any two are 127 together at most.
    """
    flat = weight.reshape(len(weight), -1)
    largest = np.abs(flat).max(1)
    if kind != "depthwise" and flat.shape[1] > 1:
        if weight.ndim == 4 and weight.shape[-1] > 1:
            largest = 2 * largest
        else:
            signs = np.stack([np.maximum(flat, 0), np.maximum(-flat, 0)])
            largest = np.maximum(largest, (signs[..., 1:] + signs[..., :-1]).max((0, 2)))
    return (np.maximum(largest, 1e-8) / TOP).astype(np.float32)
