"""Plain networks: ordinary torch modules, one per layer, connected as the layers' `inputs` say.

This file depends on torch only: a source export is a copy of it with the description of one network added. It does not
use search spaces, supernets or fast forms of modules (`building` adds those). A layer is any object with the attributes
of `explorer.core.layer.Layer` and of its operator.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "none": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hswish": nn.Hardswish,
}
MODULES: dict[str, Callable[[Any], nn.Module]] = {}  # operator -> function from a layer to the module that runs it
M = Callable[[Any], nn.Module]


def runs(op: str) -> Callable[[M], M]:
    """Return a decorator that registers an operator's module: a class, or a function from a layer to a module."""

    def register(make: M) -> M:
        MODULES[op] = make
        return make

    return register


def module_of(layer: Any) -> nn.Module:
    """Create the plain module that runs a layer.

    Raises:
        ValueError: no module is registered for the layer's operator.
    """
    if layer.op not in MODULES:
        raise ValueError(f"there is no torch module for operator {layer.op!r}; choose from: {', '.join(MODULES)}")
    return MODULES[layer.op](layer)


class NormAct(nn.BatchNorm2d):
    """Batch norm followed by an activation, in one module.

    Args:
        channels: number of input channels.
        act: "none", "relu", "relu6" or "hswish".
        owned: True if the gradient of the output is a new tensor that nothing else uses (it is if a convolution reads
            the output, but not if a sum does); a fast implementation may then overwrite that tensor.
        eps: added to the variances.
        affine: whether scale and shift are trained; else they stay 1 and 0.
    """

    def __init__(
        self, channels: int, act: str = "none", owned: bool = False, eps: float = 1e-5, affine: bool = True
    ) -> None:
        super().__init__(channels, eps)
        for name in () if affine else ("weight", "bias"):
            value = getattr(self, name).detach()
            delattr(self, name)
            self.register_buffer(name, value)
        self.act, self.owned = act, owned

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same, normalised and activated."""
        return activate(super().forward(x), self.act)


def activate(x: Tensor, act: str) -> Tensor:
    """Apply the activation "none", "relu", "relu6" or "hswish"."""
    if act == "none":
        return x
    return F.relu(x) if act == "relu" else F.relu6(x) if act == "relu6" else F.hardswish(x)


def same(
    cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1, dilation: int = 1, bias: bool = False
) -> nn.Conv2d:
    """A convolution with "same" padding, without bias by default."""
    return nn.Conv2d(cin, cout, kernel, stride, dilation * (kernel // 2), dilation, groups, bias)


@runs("conv")
class Conv(nn.Sequential):
    """A convolution, with an activation before it, a batch norm and an activation after it where the layer has them."""

    def __init__(self, layer: Any) -> None:
        before = [ACTIVATIONS[layer.before]()] if layer.before != "none" else []
        after = NormAct(layer.cout, layer.act, False, layer.eps, layer.affine) if layer.bn else ACTIVATIONS[layer.act]()
        super().__init__(*before, convolution(layer), after)


def convolution(layer: Any) -> nn.Conv2d:
    """Create the bare convolution of a layer."""
    return same(layer.cin, layer.cout, layer.kernel, layer.stride, layer.groups, layer.dilation, layer.bias)


class SqueezeExcite(nn.Module):
    """Channel attention: mean -> reduce -> ReLU -> expand -> hard sigmoid (Howard et al. 2019)."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.expand = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scale every channel of (n, c, h, w) by its attention weight."""
        gate = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * F.hardsigmoid(gate)


class MixedDepthwise(nn.ModuleList):
    """Depthwise convolutions with different kernel sizes, each on its own channels (Tan and Le 2019)."""

    def __init__(self, groups: Sequence[tuple[int, int]], stride: int) -> None:
        super().__init__(same(channels, channels, kernel, stride, channels) for kernel, channels in groups)
        self.channels = [channels for _, channels in groups]

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w')."""
        return torch.cat([conv(part) for conv, part in zip(self, x.split(self.channels, 1))], 1)


@runs("mbconv")
class MBConv(nn.Module):
    """Inverted residual block: expand 1x1, depthwise, squeeze-and-excitation, project 1x1 (Sandler et al. 2018)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        mid, self.residual = layer.mid, layer.residual
        self.expand = same(layer.cin, mid) if mid != layer.cin else None
        self.expand_norm = NormAct(mid, layer.act, True, layer.eps) if mid != layer.cin else None
        groups, stride = layer.depthwise, layer.stride
        one = len(groups) == 1
        self.depthwise = same(mid, mid, groups[0][0], stride, mid) if one else MixedDepthwise(groups, stride)
        self.depthwise_norm = NormAct(mid, layer.act, True, layer.eps)
        self.se = SqueezeExcite(mid, layer.se) if layer.se else None
        self.project = same(mid, layer.cout)
        self.project_norm = NormAct(layer.cout, eps=layer.eps)

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w')."""
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = self.expand_norm(self.expand(x))
        y = self.depthwise_norm(self.depthwise(y))
        y = y if self.se is None else self.se(y)
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y


class Pool(nn.Module):
    """Global average pooling; the output keeps four dimensions."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


class Classifier(nn.Linear):
    """Linear classifier on a 1x1 feature map, without dropout (once-for-all, which trains far longer, has dropout)."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, 1, 1) -> (n, classes)."""
        return super().forward(x.flatten(1))


@runs("factorized")
class Factorized(nn.Module):
    """Halve the size: two 1x1 convolutions of stride 2, the second shifted by one pixel (Liu et al. 2019, DARTS)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.before = ACTIVATIONS[layer.before]()
        first = layer.cout // 2
        self.even = nn.Conv2d(layer.cin, first, 1, 2, bias=False)
        self.odd = nn.Conv2d(layer.cin, layer.cout - first, 1, 2, bias=False)
        self.norm = NormAct(layer.cout, layer.act, affine=layer.affine)

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h / 2, w / 2), rounded up: an odd size is padded with zeros."""
        x = self.before(x)
        odd = x.shape[-1] % 2
        return self.norm(torch.cat([self.even(x), self.odd(F.pad(x[:, :, 1:, 1:], (0, odd, 0, odd)))], 1))


@runs("strips")
class Strips(nn.Sequential):
    """A 1 x k and a k x 1 convolution, each striding along its own taps, then batch norm (Lu et al. 2019, NSGA-Net)."""

    def __init__(self, layer: Any) -> None:
        k, s, pad, cout = layer.kernel, layer.stride, layer.kernel // 2, layer.cout
        super().__init__(
            ACTIVATIONS[layer.before](),
            nn.Conv2d(layer.cin, cout, (1, k), (1, s), (0, pad), bias=False),
            nn.Conv2d(cout, cout, (k, 1), (s, 1), (pad, 0), bias=False),
            NormAct(cout, layer.act),
        )


class Add(nn.Module):
    """Sum of the inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Any number of (n, c, h, w) -> (n, c, h, w)."""
        return sum(inputs[1:], inputs[0])


class Concat(nn.Module):
    """Concatenation of the inputs along the channels."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Any number of (n, c_i, h, w) -> (n, sum of c_i, h, w)."""
        return torch.cat(inputs, 1)


@runs("scatter")
class Scatter(nn.Module):
    """Copy every input channel to its position (`layer.places`) in a wider output; the other channels are zero."""

    source: Tensor

    def __init__(self, layer: Any) -> None:
        super().__init__()
        source = torch.full((layer.cout,), layer.cin)
        source[list(layer.places)] = torch.arange(layer.cin)
        self.register_buffer("source", source, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h, w)."""
        return F.pad(x, (0, 0, 0, 0, 0, 1))[:, self.source]


@runs("zero")
class Zero(nn.Module):
    """The zero operation: its output is zero for any input."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.stride, self.channels = layer.stride, layer.cout

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w'), zeros."""
        return torch.zeros_like(x[:, :1, :: self.stride, :: self.stride]).expand(-1, self.channels, -1, -1)


runs("pool")(lambda layer: Pool())
runs("linear")(lambda layer: Classifier(layer.cin, layer.cout))
runs("norm")(lambda layer: NormAct(layer.cout, layer.act, affine=layer.affine))
runs("avgpool")(lambda x: nn.AvgPool2d(x.kernel, x.stride, (x.kernel - 1) // 2, count_include_pad=False))
runs("maxpool")(lambda x: nn.MaxPool2d(x.kernel, x.stride, (x.kernel - 1) // 2))
runs("add")(lambda layer: Add())
runs("concat")(lambda layer: Concat())


class Preprocess(nn.Module):
    """Normalise images and bring them to the network's input size (see `fit`).

    Args:
        mean, std: normalisation per channel, for images in [0, 1].
        size: height and width of the network's input.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.size = size

    def forward(self, x: Tensor, size: int | None = None) -> Tensor:
        """(n, c, h, w) float32 in [0, 1] -> (n, c, size, size)."""
        return fit((x - self.mean) / self.std, size or self.size)


def fit(x: Tensor, size: int) -> Tensor:
    """Bring images to `size`: pad up to four pixels per side by repeating the border, else resize bilinearly."""
    missing = size - x.shape[-1]
    if 0 < missing <= 8:
        before = missing // 2
        return F.pad(x, (before, missing - before, before, missing - before), mode="replicate")
    return x if missing == 0 else F.interpolate(x, (size, size), mode="bilinear", align_corners=False)


class Network(nn.Module):
    """A plain network: one module per layer, connected as the layers' `inputs` say.

    Args:
        layers: the layers, each after all of its inputs.
        preprocess: applied to the images before the first layer.
    """

    def __init__(self, layers: Sequence[Any], preprocess: Preprocess) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.names = [layer.name for layer in layers]
        self.inputs = {layer.name: layer.inputs for layer in layers}
        # torch allows no dots in module names
        self.blocks = nn.ModuleDict({layer.name.replace(".", "-"): module_of(layer) for layer in layers})

    def block(self, name: str) -> nn.Module:
        """Return the module of the layer with this name."""
        return self.blocks[name.replace(".", "-")]

    def forward(self, images: Tensor) -> Tensor:
        """(n, c, h, w) float32 in [0, 1] -> logits (n, classes)."""
        return self.outputs(images, self.names[-1:])[0]

    def outputs(self, images: Tensor, names: Sequence[str]) -> list[Tensor]:
        """Return the outputs of some layers; other outputs are freed as soon as no layer needs them any more.

        Args:
            images: (n, c, h, w) float32 in [0, 1].
            names: names of the layers whose outputs are returned.
        """
        x = self.preprocess(images).contiguous(memory_format=torch.channels_last)
        last = {source: name for name in self.names for source in self.inputs[name]}
        known: dict[str, Tensor] = {}
        for name in self.names:
            sources = self.inputs[name]
            known[name] = self.block(name)(*([known[source] for source in sources] or [x]))
            for source in set(sources):
                if last[source] == name and source not in names:
                    del known[source]
        return [known[name] for name in names]
