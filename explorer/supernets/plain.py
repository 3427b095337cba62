"""Plain networks: ordinary torch modules, one per layer, run along the layers' inputs.

This file needs torch and nothing else: an export as source is this file with the facts of one network in it. It knows
no space, no supernet and no fast form of a module; `building` adds those. A layer is anything with the attributes of
`explorer.core.layer.Layer` and of its operator.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {"none": nn.Identity, "relu": nn.ReLU, "hswish": nn.Hardswish}
MODULES: dict[str, Callable[[Any], nn.Module]] = {}  # operator -> what runs a layer of it
M = Callable[[Any], nn.Module]


def runs(op: str) -> Callable[[M], M]:
    """Register what runs the layers of an operator: a class or function of one argument, the layer."""

    def register(make: M) -> M:
        MODULES[op] = make
        return make

    return register


def module_of(layer: Any) -> nn.Module:
    """The plain module that runs a layer.

    Raises:
        ValueError: no module is registered for its operator.
    """
    if layer.op not in MODULES:
        raise ValueError(f"no torch module runs operator {layer.op!r}; choose from: {', '.join(MODULES)}")
    return MODULES[layer.op](layer)


class NormAct(nn.BatchNorm2d):
    """Batch norm and activation in one.

    Args:
        channels: of the input.
        act: "none", "relu" or "hswish".
        owned: what reads the result makes its gradient anew and for this alone (a convolution does, a sum does not);
            fast forms use it.
    """

    def __init__(self, channels: int, act: str = "none", owned: bool = False) -> None:
        super().__init__(channels)
        self.act, self.owned = act, owned

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same, normalised and activated."""
        y = super().forward(x)
        return y if self.act == "none" else F.relu(y) if self.act == "relu" else F.hardswish(y)


def same(cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1, dilation: int = 1) -> nn.Conv2d:
    """A convolution with "same" padding and no bias."""
    return nn.Conv2d(cin, cout, kernel, stride, dilation * (kernel // 2), dilation, groups, bias=False)


@runs("conv")
class Conv(nn.Sequential):
    """Where the layer has one, an activation of the input; convolution; then batch norm where it has it, activation."""

    def __init__(self, layer: Any) -> None:
        before = [ACTIVATIONS[layer.before]()] if layer.before != "none" else []
        after = NormAct(layer.cout, layer.act) if layer.bn else ACTIVATIONS[layer.act]()
        super().__init__(*before, convolution(layer), after)


def convolution(layer: Any) -> nn.Conv2d:
    """The convolution of a layer alone."""
    return same(layer.cin, layer.cout, layer.kernel, layer.stride, layer.groups, layer.dilation)


class SqueezeExcite(nn.Module):
    """Channel attention: mean -> reduce -> ReLU -> expand -> hard sigmoid (Howard et al. 2019)."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, squeeze, 1)
        self.expand = nn.Conv2d(squeeze, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same, every channel scaled."""
        gate = self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True))))
        return x * F.hardsigmoid(gate)


class MixedDepthwise(nn.ModuleList):
    """Depthwise convolutions of several kernels, each over its own channels (Tan and Le 2019)."""

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
        self.expand_norm = NormAct(mid, layer.act, owned=True) if mid != layer.cin else None
        groups, stride = layer.depthwise, layer.stride
        one = len(groups) == 1
        self.depthwise = same(mid, mid, groups[0][0], stride, mid) if one else MixedDepthwise(groups, stride)
        self.depthwise_norm = NormAct(mid, layer.act, owned=True)
        self.se = SqueezeExcite(mid, layer.se) if layer.se else None
        self.project = same(mid, layer.cout)
        self.project_norm = NormAct(layer.cout)

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
    """Global average, kept as (n, c, 1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, 1, 1)."""
        return x.mean((2, 3), keepdim=True)


class Classifier(nn.Linear):
    """Linear layer behind a 1x1 feature map; without the dropout of once-for-all's, whose trainings are far longer."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, 1, 1) -> (n, classes)."""
        return super().forward(x.flatten(1))


@runs("factorized")
class Factorized(nn.Module):
    """Half the size, no pixel lost: two 1x1 convolutions of stride 2, one pixel apart (Liu et al. 2019, DARTS)."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.before = ACTIVATIONS[layer.before]()
        first = layer.cout // 2
        self.even = nn.Conv2d(layer.cin, first, 1, 2, bias=False)
        self.odd = nn.Conv2d(layer.cin, layer.cout - first, 1, 2, bias=False)
        self.norm = NormAct(layer.cout, layer.act)

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h / 2, w / 2), rounded up: an odd border is filled with zeros."""
        x = self.before(x)
        odd = x.shape[-1] % 2
        return self.norm(torch.cat([self.even(x), self.odd(F.pad(x[:, :, 1:, 1:], (0, odd, 0, odd)))], 1))


class Add(nn.Module):
    """Sum of the inputs."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Any number of (n, c, h, w) -> (n, c, h, w)."""
        return sum(inputs[1:], inputs[0])


class Concat(nn.Module):
    """Inputs side by side."""

    def forward(self, *inputs: Tensor) -> Tensor:
        """Any number of (n, c_i, h, w) -> (n, sum of c_i, h, w)."""
        return torch.cat(inputs, 1)


@runs("scatter")
class Scatter(nn.Module):
    """Every input channel at its place among the output's, zeros elsewhere."""

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
    """Nothing passes."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.stride, self.channels = layer.stride, layer.cout

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w'), zeros."""
        return torch.zeros_like(x[:, :1, :: self.stride, :: self.stride]).expand(-1, self.channels, -1, -1)


runs("pool")(lambda layer: Pool())
runs("linear")(lambda layer: Classifier(layer.cin, layer.cout))
runs("norm")(lambda layer: NormAct(layer.cout, layer.act))
runs("avgpool")(lambda x: nn.AvgPool2d(x.kernel, x.stride, (x.kernel - 1) // 2, count_include_pad=False))
runs("maxpool")(lambda x: nn.MaxPool2d(x.kernel, x.stride, (x.kernel - 1) // 2))
runs("add")(lambda layer: Add())
runs("concat")(lambda layer: Concat())


class Preprocess(nn.Module):
    """Normalise, then pad (or, where the image is larger than half the target, resize) to the network's input size.

    Args:
        mean, std: per channel, of images in [0, 1].
        size: height and width that the network computes with.
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
    """Bring images to `size`: up to four pixels a side are padded with the border's value, all else is resized."""
    missing = size - x.shape[-1]
    if 0 < missing <= 8:
        before = missing // 2
        return F.pad(x, (before, missing - before, before, missing - before), mode="replicate")
    return x if missing == 0 else F.interpolate(x, (size, size), mode="bilinear", align_corners=False)


class Network(nn.Module):
    """A plain network: one module per layer, run along `Layer.inputs`.

    Args:
        layers: in an order in which inputs come first.
        preprocess: what happens to the images before the first layer.
    """

    def __init__(self, layers: Sequence[Any], preprocess: Preprocess) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.names = [layer.name for layer in layers]
        self.inputs = {layer.name: layer.inputs for layer in layers}
        # dots separate modules in torch's names
        self.blocks = nn.ModuleDict({layer.name.replace(".", "-"): module_of(layer) for layer in layers})

    def block(self, name: str) -> nn.Module:
        """The module of a layer's name."""
        return self.blocks[name.replace(".", "-")]

    def forward(self, images: Tensor) -> Tensor:
        """(n, c, h, w) float32 in [0, 1] -> logits (n, classes)."""
        return self.outputs(images, self.names[-1:])[0]

    def outputs(self, images: Tensor, names: Sequence[str]) -> list[Tensor]:
        """What some layers give; others are forgotten when nothing is left to read them.

        Args:
            images: (n, c, h, w) float32 in [0, 1].
            names: of layers.
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
