"""An exported network in plain PyTorch. It needs torch and safetensors; keep the weights file beside this one.

network = load()
logits = network(images)  # images: float32 (n, channels, height, width) in [0, 1] -> (n, classes)
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

FACTS: dict = {}  # written by the export: mean and std of the images, size, classes, and the layers in order

ACTIVATIONS = {"none": nn.Identity, "relu": nn.ReLU, "hswish": nn.Hardswish}


def depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)


class Mixed(nn.ModuleList):
    """Depthwise convolutions of several kernels, each over its own channels."""

    def forward(self, x):
        sizes = [conv.in_channels for conv in self]
        return torch.cat([conv(part) for conv, part in zip(self, x.split(sizes, 1))], 1)


class SqueezeExcite(nn.Module):
    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(channels, squeeze, 1), nn.Conv2d(squeeze, channels, 1)

    def forward(self, x):
        return x * F.hardsigmoid(self.expand(F.relu(self.reduce(x.mean((2, 3), keepdim=True)))))


class MBConv(nn.Module):
    """Expand 1x1, depthwise, squeeze-and-excitation, project 1x1."""

    def __init__(self, layer: dict) -> None:
        super().__init__()
        cin, mid, cout = layer["cin"], layer["mid"], layer["cout"]
        self.residual, self.act = layer["residual"], ACTIVATIONS[layer["act"]]()
        self.expand = nn.Conv2d(cin, mid, 1, bias=False) if mid != cin else None
        self.expand_norm = nn.BatchNorm2d(mid) if mid != cin else None
        convs = [depthwise(channels, kernel, layer["stride"]) for kernel, channels in layer["depthwise"]]
        self.depthwise, self.depthwise_norm = convs[0] if len(convs) == 1 else Mixed(convs), nn.BatchNorm2d(mid)
        self.se = SqueezeExcite(mid, layer["se"]) if layer["se"] else None
        self.project, self.project_norm = nn.Conv2d(mid, cout, 1, bias=False), nn.BatchNorm2d(cout)

    def forward(self, x):
        y = x if self.expand is None else self.act(self.expand_norm(self.expand(x)))
        y = self.act(self.depthwise_norm(self.depthwise(y)))
        y = y if self.se is None else self.se(y)
        y = self.project_norm(self.project(y))
        return x + y if self.residual else y


class Pool(nn.Module):
    def forward(self, x):
        return x.mean((2, 3), keepdim=True)


class Classifier(nn.Linear):
    def forward(self, x):
        return super().forward(x.flatten(1))


def module_of(layer: dict) -> nn.Module:
    if layer["op"] == "mbconv":
        return MBConv(layer)
    if layer["op"] == "pool":
        return Pool()
    if layer["op"] == "linear":
        return Classifier(layer["cin"], layer["cout"])
    if layer["op"] != "conv":
        raise ValueError(f"operator {layer['op']!r} is not known here")
    pad = layer["dilation"] * (layer["kernel"] // 2)
    conv = nn.Conv2d(
        layer["cin"],
        layer["cout"],
        layer["kernel"],
        layer["stride"],
        pad,
        layer["dilation"],
        layer["groups"],
        bias=False,
    )
    norm = [nn.BatchNorm2d(layer["cout"])] if layer["bn"] else []
    before = [ACTIVATIONS[layer["before"]]()] if layer["before"] != "none" else []
    return nn.Sequential(*before, conv, *norm, ACTIVATIONS[layer["act"]]())


class Preprocess(nn.Module):
    """Normalise, then pad (or resize) to the network's input size."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(FACTS["mean"]).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(FACTS["std"]).view(1, -1, 1, 1))

    def forward(self, x):
        size, x = FACTS["size"], (x - self.mean) / self.std
        missing = size - x.shape[-1]
        if 0 < missing <= 8:
            before = missing // 2
            return F.pad(x, (before, missing - before, before, missing - before), mode="replicate")
        return x if missing == 0 else F.interpolate(x, (size, size), mode="bilinear", align_corners=False)


class Network(nn.Module):
    """One module per layer, run in order."""

    def __init__(self) -> None:
        super().__init__()
        self.preprocess = Preprocess()
        self.blocks = nn.ModuleDict({layer["name"].replace(".", "-"): module_of(layer) for layer in FACTS["layers"]})

    def forward(self, images):
        outputs = {"": self.preprocess(images)}
        for layer, block in zip(FACTS["layers"], self.blocks.values()):
            outputs[layer["name"]] = block(*[outputs[name] for name in layer["inputs"] or [""]])
        return outputs[FACTS["layers"][-1]["name"]]


def load(weights: str | Path = Path(__file__).with_suffix(".safetensors")) -> Network:
    """The network with its weights, ready to run."""
    from safetensors.torch import load_file

    network = Network()
    network.load_state_dict(load_file(weights))
    return network.eval()
