"""Plain networks step by step (needs torch): weights with everything folded in, and the ranges of all tensors.

Ranges are those of calibration images, or the part of each that has the least squared error when its values are rounded
and cut: a range without the rarest values rounds the others less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from explorer.core.eight_bits import HIGH, LOW, OFF, EightBits, Ranges, Scale, Weights, before_hard_swishes, whole_bias
from explorer.core.layer import Layer
from explorer.core.operators import Conv, Linear, MBConv
from explorer.core.steps import IMAGES, Step, steps_of
from explorer.supernets.plain import MixedDepthwise, Network, Preprocess, fit

SHARES = np.linspace(0.3, 1, 36)  # parts of a range that are tried
KEPT = 16_384  # values of every tensor from which its range is chosen
METHODS = ("mse", "minmax")  # the part of a range with the least squared error; the least and the greatest value
BATCH, PIXELS = 64, 32  # images at once, of up to so many pixels: larger ones are fewer, to stay in caches


@torch.no_grad()
def weights_of(layers: Sequence[Layer], network: Network) -> Weights:
    """Return the weights of every weighted step of a network, with norms and the normalisation of images folded in.

    The images' zero is their mean over all channels (see `centre`), so that padding with zeros is nearly the padding of
    normalised images.
    """
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for layer in layers:
        for name, weight, bias in _parts(layer, network.block(layer.name)):
            if not layer.inputs and weight.ndim == 4:
                weight, bias = _normalised(weight, bias, network.preprocess)
            found[name] = weight.double().numpy(), bias.double().numpy()
    return found


def centre(preprocess: Preprocess) -> float:
    """Return the value of images that is their zero in eight bits: one of the 256 values of a pixel."""
    return round(255 * float(preprocess.mean.mean())) / 255


def _normalised(weight: Tensor, bias: Tensor, preprocess: Preprocess) -> tuple[Tensor, Tensor]:
    mean, std = preprocess.mean.flatten(), preprocess.std.flatten()
    weight = weight / std.view(1, -1, 1, 1)
    return weight, bias - (weight * (mean - centre(preprocess)).view(1, -1, 1, 1)).sum((1, 2, 3))


def _parts(layer: Layer, module: Any) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Yield (step, weights, bias) of the weighted steps of a layer."""
    if isinstance(layer, Linear):
        yield layer.name, module.weight, module.bias
    elif isinstance(layer, Conv):
        conv, norm = module[-2], module[-1] if layer.bn else None
        weight, bias = _folded(conv.weight, conv.bias, norm)
        yield (f"{layer.name}.linear" if layer.act == "hswish" else layer.name), weight, bias
    elif isinstance(layer, MBConv):
        end = ".linear" if layer.act == "hswish" else ""
        if module.expand is not None:
            yield f"{layer.name}.expand{end}", *_folded(module.expand.weight, None, module.expand_norm)
        depthwise = _largest(module.depthwise, layer.kernel)
        yield f"{layer.name}.depthwise{end}", *_folded(depthwise, None, module.depthwise_norm)
        if module.se is not None:
            yield f"{layer.name}.reduce", module.se.reduce.weight, module.se.reduce.bias
            yield f"{layer.name}.gate", module.se.expand.weight, module.se.expand.bias
        last = f"{layer.name}.project" if layer.residual else layer.name
        yield last, *_folded(module.project.weight, None, module.project_norm)


def _folded(weight: Tensor, bias: Tensor | None, norm: Any) -> tuple[Tensor, Tensor]:
    if norm is None:
        return weight, torch.zeros(len(weight)) if bias is None else bias
    own = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    folded: tuple[Tensor, Tensor] = fuse_conv_bn_weights(weight, bias, *own)
    return folded


def _largest(module: nn.Module, kernel: int) -> Tensor:
    """Return depthwise weights (c, 1, k, k), with zeros around kernels that are smaller than the largest."""
    if not isinstance(module, MixedDepthwise):
        weight: Tensor = module.weight  # type: ignore[assignment]
        return weight
    parts = [F.pad(conv.weight, [(kernel - conv.weight.shape[-1]) // 2] * 4) for conv in module]  # type: ignore
    return torch.cat(parts)


def prepared(images: Tensor, preprocess: Preprocess, size: int) -> Tensor:
    """Return images (n, c, h, w) in [0, 1] at the network's size, with their centre at 0."""
    return fit(images, size) - centre(preprocess)


def computed(steps: Sequence[Step], weights: Weights, x: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Compute a network step by step, in float32; yield every tensor with its name.

    Args:
        steps: the steps, in order.
        weights: see `weights_of`.
        x: (n, c, size, size), see `prepared`.
    """
    last = {source: step.name for step in steps for source in step.inputs}
    values = {IMAGES: x}
    yield IMAGES, x
    for step in steps:
        own = None
        if step.name in weights:
            weight, bias = (torch.from_numpy(part).float() for part in weights[step.name])
            own = weight / step.divided, bias + step.shift
        values[step.name] = y = _bounded(_output(step, [values[source] for source in step.inputs], own), step.act)
        yield step.name, y
        for source in step.inputs:
            if last[source] == step.name:
                values.pop(source, None)


def _output(step: Step, given: Sequence[Tensor], own: tuple[Tensor, Tensor] | None) -> Tensor:
    """Compute a step without its bounds, with weights and bias as they are."""
    a = given[0]
    if own is not None and step.kind == "linear":
        return F.linear(a.flatten(1), *own)
    if own is not None:
        return F.conv2d(a, *own, step.stride, step.kernel // 2, 1, step.cin if step.kind == "depthwise" else 1)
    if step.kind == "mean":
        return a.mean((2, 3), keepdim=True)
    if step.kind == "hswish":
        return F.hardswish(a)
    return a + given[1] if step.kind == "add" else a * given[1]


def _bounded(x: Tensor, act: str) -> Tensor:
    """Bound a step's output, in place."""
    return F.relu(x, inplace=True) if act == "relu" else F.relu6(x, inplace=True) if act == "relu6" else x


@torch.no_grad()
def ranges_of(layers: Sequence[Layer], network: Network, images: Tensor) -> dict[str, Ranges]:
    """Return method -> the ranges of the images and of every step's output, for every one of `METHODS`.

    Args:
        layers: the network's layers.
        network: the plain network.
        images: calibration images (n, c, h, w) float32 in [0, 1].
    """
    steps, weights, size = steps_of(layers), weights_of(layers, network), layers[0].size
    ends: dict[str, tuple[float, float]] = {}
    samples: dict[str, list[np.ndarray]] = {}
    ending = before_hard_swishes(steps)
    rng = torch.Generator().manual_seed(0)
    batches = images.split(max(4, min(BATCH, BATCH * PIXELS**2 // size**2)))
    for batch in batches:
        for name, y in computed(steps, weights, prepared(batch, network.preprocess, size)):
            flat = y.flatten()
            low, high = (float(end) for end in torch.aminmax(flat))
            floor = OFF if name in ending else -np.inf
            known = ends.get(name, (np.inf, -np.inf))
            ends[name] = min(known[0], max(low, floor)), max(known[1], high)
            rows = torch.randint(0, len(flat), (min(-(-KEPT // len(batches)), len(flat)),), generator=rng)
            samples.setdefault(name, []).append(flat[rows].clamp(min=floor).numpy())
    zero = centre(network.preprocess)
    ends[IMAGES] = -zero, 1 - zero
    best = {name: ends[name] if name == IMAGES else _best(np.concatenate(samples[name]), *ends[name]) for name in ends}
    return {"mse": best, "minmax": ends}


@torch.no_grad()
def corrected(networks: Sequence[EightBits], weights: Weights, x: Tensor) -> list[EightBits]:
    """Correct the biases of a network in eight bits, so that rounding shifts no channel on average.

    Step by step, from the images on: a channel's bias takes up the mean difference between its values in float32 and
    those that the rounded steps before it lead to (Nagel et al. 2019, "Data-free quantization through weight
    equalization and bias correction", section 4.2, with images).

    Args:
        networks: forms of one network, with different ranges.
        weights: its float weights, see `weights_of`.
        x: calibration images, see `prepared`.
    """
    steps, forms = networks[0].steps, [_Correcting(network, x) for network in networks]
    last = {source: step.name for step in steps for source in step.inputs}
    real = {IMAGES: x}
    for step in steps:
        exact = None
        if step.name in weights:
            weight, bias = (torch.from_numpy(part).float() for part in weights[step.name])
            exact = weight / step.divided, bias + step.shift
        y = _output(step, [real[source] for source in step.inputs], exact)
        means = None if exact is None else y.mean([d for d in range(y.ndim) if d != 1])
        for form in forms:
            form.take(step, means)
        real[step.name] = _bounded(y, step.act)
        for source in [source for source in step.inputs if last[source] == step.name]:
            for values in (real, *(form.values for form in forms)):
                values.pop(source, None)
    return [replace(form.network, constants=form.constants) for form in forms]


class _Correcting:
    """A network in eight bits whose biases are corrected step by step."""

    def __init__(self, network: EightBits, x: Tensor) -> None:
        self.network, self.constants = network, dict(network.constants)
        self.values = {IMAGES: _rounded(x.clone(), network.scales[IMAGES])}

    def take(self, step: Step, means: Tensor | None) -> None:
        """Compute a step, and correct its bias so that its channels have these means (c,)."""
        own = None
        if means is not None:
            c = self.constants[step.name]
            unit = self.network.scales[step.inputs[0]].scale * c.scales.astype(np.float64)
            by = c.scales.reshape(-1, *[1] * (c.weights.ndim - 1))
            own = torch.from_numpy(c.weights * by), torch.from_numpy((c.bias * unit).astype(np.float32))
        z = _output(step, [self.values[source] for source in step.inputs], own)
        if means is not None:
            shift = means - z.mean([d for d in range(z.ndim) if d != 1])
            bias = whole_bias(c.bias * unit + shift.double().numpy(), unit)
            self.constants[step.name] = replace(c, bias=bias)
            z += shift.view(1, -1, *[1] * (z.ndim - 2))
        self.values[step.name] = _rounded(z, self.network.scales[step.name])


def _rounded(x: Tensor, scale: Scale) -> Tensor:
    """Round a tensor to eight bits, and back, in place; bounds are those of the scale."""
    low, high = LOW - scale.zero, HIGH - scale.zero
    return x.div_(scale.scale).round_().clamp_(low, high).mul_(scale.scale)


def _best(values: np.ndarray, low: float, high: float) -> tuple[float, float]:
    """Return the part of a range at which these values are rounded with the least squared error."""
    errors = []
    for share in SHARES:
        scale = Scale.of(share * low, share * high)
        whole = np.clip(np.round(values / scale.scale) + scale.zero, LOW, HIGH)
        errors.append(float(np.square(values - scale.scale * (whole - scale.zero)).mean()))
    share = float(SHARES[int(np.argmin(errors))])
    return share * low, share * high


def check_steps(network: Network, layers: Sequence[Layer], images: Tensor) -> float:
    """Return the largest difference of the step-by-step logits from the network's, relative to the largest logit."""
    steps, weights = steps_of(layers), weights_of(layers, network)
    with torch.no_grad():
        *_, (_, y) = computed(steps, weights, prepared(images, network.preprocess, layers[0].size))
        expected = network.eval()(images)
    return float((y - expected).abs().max() / expected.abs().max())
