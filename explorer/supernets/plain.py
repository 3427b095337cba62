"""`build(layers)`: a plain network from its list of layers.

Ordinary `torch.nn` modules, one per layer, run along `Layer.inputs`; the network knows no space and no supernet.
`Preprocess` comes first, so every network takes images in [0, 1] at their native size.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.errors import unknown
from explorer.core.layer import ACTIVATIONS, OPERATORS, Layer
from explorer.fast.depthwise import DepthwiseConv2d
from explorer.fast.normact import norm_act
from explorer.fast.pointwise import PointwiseConv2d


def activation(name: str) -> nn.Module:
    """The module of an activation's name."""
    if name not in ACTIVATIONS:
        raise unknown("activation", name, ACTIVATIONS)
    return {"none": nn.Identity, "relu": nn.ReLU, "hswish": nn.Hardswish}[name]()


class Preprocess(nn.Module):
    """Normalise, then pad (or, where the image is larger than half the target, resize) to the network's input size.

    Args:
        mean, std: per channel, of images in [0, 1].
        size: height and width that the network computes with.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.size = size

    def forward(self, x: Tensor, size: int | None = None) -> Tensor:
        """(n, c, h, w) float32 in [0, 1] -> (n, c, size, size)."""
        size = size or self.size
        return fit((x - self.mean) / self.std, size)


def fit(x: Tensor, size: int) -> Tensor:
    """Bring images to `size`: up to four pixels a side are padded with the border's value, all else is resized."""
    missing = size - x.shape[-1]
    if 0 < missing <= 8:
        before = missing // 2
        return F.pad(x, (before, missing - before, before, missing - before), mode="replicate")
    return x if missing == 0 else F.interpolate(x, (size, size), mode="bilinear", align_corners=False)


class NormAct(nn.BatchNorm2d):
    """Batch norm and activation in one; `owned` as in `norm_act`."""

    def __init__(self, channels: int, act: str = "none", owned: bool = False) -> None:
        super().__init__(channels)
        self.act, self.owned = act, owned

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same, normalised and activated."""
        return norm_act(x, self, self.act, owned=self.owned)


def convolution(layer: Layer) -> nn.Conv2d:
    """The convolution of a layer alone, in the form that trains fastest on CPUs."""
    if layer.groups == layer.cin == layer.cout > 1:
        return DepthwiseConv2d(layer.cin, layer.kernel, layer.stride, layer.dilation)
    if layer.kernel == layer.stride == layer.groups == 1:
        return PointwiseConv2d(layer.cin, layer.cout)
    pad = layer.dilation * (layer.kernel // 2)
    return nn.Conv2d(layer.cin, layer.cout, layer.kernel, layer.stride, pad, layer.dilation, layer.groups, bias=False)


class Conv(nn.Sequential):
    """Where the layer has one, an activation of the input; convolution; then batch norm where it has it, activation."""

    def __init__(self, layer: Layer) -> None:
        before = [activation(layer.before)] if layer.before != "none" else []
        after = NormAct(layer.cout, layer.act) if layer.bn else activation(layer.act)
        super().__init__(*before, convolution(layer), after)


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
        super().__init__(DepthwiseConv2d(channels, kernel, stride) for kernel, channels in groups)
        self.channels = [channels for _, channels in groups]

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w')."""
        return torch.cat([conv(part) for conv, part in zip(self, x.split(self.channels, 1))], 1)


class MBConv(nn.Module):
    """Inverted residual block: expand 1x1, depthwise, squeeze-and-excitation, project 1x1 (Sandler et al. 2018)."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        mid, self.residual = layer.mid, layer.residual
        self.expand = PointwiseConv2d(layer.cin, mid) if mid != layer.cin else None
        self.expand_norm = NormAct(mid, layer.act, owned=True) if mid != layer.cin else None
        groups = layer.depthwise
        one = len(groups) == 1
        self.depthwise = (
            DepthwiseConv2d(mid, groups[0][0], layer.stride) if one else MixedDepthwise(groups, layer.stride)
        )
        self.depthwise_norm = NormAct(mid, layer.act, owned=True)
        self.se = SqueezeExcite(mid, layer.se) if layer.se else None
        self.project = PointwiseConv2d(mid, layer.cout)
        self.project_norm = NormAct(layer.cout)

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w')."""
        y = x if self.expand is None else self.expand_norm(self.expand(x))
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


class Factorized(nn.Module):
    """Half the size, no pixel lost: two 1x1 convolutions of stride 2, one pixel apart (Liu et al. 2019, DARTS)."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.before = activation(layer.before)
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


class Scatter(nn.Module):
    """Every input channel at its place among the output's, zeros elsewhere."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        source = torch.full((layer.cout,), layer.cin)
        source[list(layer.places)] = torch.arange(layer.cin)
        self.register_buffer("source", source, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h, w)."""
        return F.pad(x, (0, 0, 0, 0, 0, 1))[:, self.source]


class Zero(nn.Module):
    """Nothing passes."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.stride, self.channels = layer.stride, layer.cout

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w'), zeros."""
        return torch.zeros_like(x[:, :1, :: self.stride, :: self.stride]).expand(-1, self.channels, -1, -1)


CELL_MODULES = {
    "factorized": Factorized,
    "norm": lambda layer: NormAct(layer.cout, layer.act),
    "avgpool": lambda x: nn.AvgPool2d(x.kernel, x.stride, (x.kernel - 1) // 2, count_include_pad=False),
    "maxpool": lambda x: nn.MaxPool2d(x.kernel, x.stride, (x.kernel - 1) // 2),
    "add": lambda layer: Add(),
    "concat": lambda layer: Concat(),
    "scatter": Scatter,
    "zero": Zero,
}


def module_of(layer: Layer) -> nn.Module:
    """The plain module that runs a layer."""
    if layer.op == "conv":
        return Conv(layer)
    if layer.op == "mbconv":
        return MBConv(layer)
    if layer.op == "pool":
        return Pool()
    if layer.op == "linear":
        return Classifier(layer.cin, layer.cout)
    if layer.op in CELL_MODULES:
        return CELL_MODULES[layer.op](layer)
    raise unknown("operator", layer.op, OPERATORS)


class Network(nn.Module):
    """A plain network: one module per layer, run along `Layer.inputs`.

    Args:
        layers: in an order in which inputs come first.
        preprocess: what happens to the images before the first layer.
    """

    def __init__(self, layers: Sequence[Layer], preprocess: Preprocess) -> None:
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


def build(
    layers: Sequence[Layer], mean: Sequence[float] = (0.0,), std: Sequence[float] = (1.0,), seed: int | None = None
) -> Network:
    """A plain network with fresh weights (He fan-out, as once-for-all).

    Args:
        layers: from `space.layers(architecture)`.
        mean, std: normalisation of the images, per channel (or one value for all).
        seed: of the weights; torch's own random state is left as it was.
    """
    first = layers[0]
    spread = [list(v) * (first.cin if len(v) == 1 else 1) for v in (mean, std)]
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        network = Network(layers, Preprocess(*spread, size=first.size))
        initialise(network)
    return network.to(memory_format=torch.channels_last)


def initialise(module: nn.Module) -> None:
    """He fan-out for convolutions, small normal for linear layers, zero biases."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out")
            if m.bias is not None:
                nn.init.zeros_(m.bias)
        elif isinstance(m, nn.Linear):
            nn.init.normal_(m.weight, 0, 0.01)
            nn.init.zeros_(m.bias)
