"""Elastic layers: shared weights that are sliced to the kernel size and width of a given `Layer`.

No module stores which subnet is active: `forward(x, layer)` receives the layer in every call, and `cut(layer)` returns
the same slice of the weights as a state dict for the plain module (`supernets.plain`). Smaller kernels are computed
from larger ones with learned matrices; smaller widths use the first channels (Cai et al. 2020, section 3).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.layer import Layer
from explorer.core.operators import Conv, MBConv
from explorer.fast.depthwise import depthwise
from explorer.fast.normact import norm_act
from explorer.supernets.building import load_modules
from explorer.supernets.forms import use
from explorer.supernets.plain import ACTIVATIONS, SqueezeExcite, convolution, module_of


class ElasticKernel(nn.Module):
    """Depthwise weights of the largest kernel, with a learned matrix for every step to the next smaller size.

    Args:
        channels: largest number of channels.
        kernels: possible kernel sizes, for example (3, 5, 7).
    """

    def __init__(self, channels: int, kernels: Sequence[int]) -> None:
        super().__init__()
        self.kernels = sorted(kernels)
        self.weight = nn.Parameter(torch.empty(channels, 1, self.kernels[-1], self.kernels[-1]))
        nn.init.kaiming_normal_(self.weight, mode="fan_out")
        self.shrink = nn.ParameterDict({str(k): nn.Parameter(torch.eye(k * k)) for k in self.kernels[:-1]})

    def cut(self, channels: int, kernel: int) -> Tensor:
        """Return the weights of a smaller kernel, (channels, 1, kernel, kernel).

        Every step down takes the centre of the next larger kernel and multiplies it by that step's matrix.
        """
        weight = self.weight[:channels]
        for size in reversed(self.kernels[:-1]):
            if size < kernel:
                break
            edge = (weight.shape[-1] - size) // 2
            centre = weight[:, :, edge : edge + size, edge : edge + size].reshape(channels, size * size)
            weight = (centre @ self.shrink[str(size)].T).view(channels, 1, size, size)
        return weight


class ElasticNorm(nn.BatchNorm2d):
    """Batch norm over the first channels. All subnets share its statistics, so recalibrate a subnet before scoring."""

    def forward(self, x: Tensor, act: str = "none", index: Tensor | None = None, owned: bool = False) -> Tensor:
        """Normalise and activate (n, c, h, w) with the norm's first c channels, or with those listed in `index` (c,).

        For `owned` see `plain.NormAct`.
        """
        return norm_act(x, self, act, index, owned)

    def cut(self, channels: int | Tensor, prefix: str) -> dict[str, Tensor]:
        """Return the state of a plain batch norm over the first `channels` channels, or those that a tensor lists."""
        names = ("weight", "bias", "running_mean", "running_var")
        chosen = slice(channels) if isinstance(channels, int) else channels
        state = {f"{prefix}.{n}": getattr(self, n)[chosen] for n in names}
        return state | {f"{prefix}.num_batches_tracked": self.num_batches_tracked}


class ElasticConv(nn.Module):
    """A convolution with norm and activation whose shape is never cut (stem, last 1x1, feature mix)."""

    def __init__(self, layer: Conv) -> None:
        super().__init__()
        self.conv = convolution(layer)
        use(self)
        self.norm = ElasticNorm(layer.cout, layer.eps) if layer.bn else None
        self.act = ACTIVATIONS[layer.act]()

    def forward(self, x: Tensor, layer: Conv) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w')."""
        x = self.conv(x)
        return self.act(x) if self.norm is None else self.norm(x, layer.act)

    def cut(self, layer: Conv) -> dict[str, Tensor]:
        """Return the state dict of the corresponding `plain.Conv`."""
        norm = {} if self.norm is None else self.norm.cut(layer.cout, "1")
        bias = {} if self.conv.bias is None else {"0.bias": self.conv.bias}
        return {"0.weight": self.conv.weight} | bias | norm


class ElasticMBConv(nn.Module):
    """An MBConv with the weights of the largest width and kernel of a slot; smaller layers use slices of them.

    Args:
        layer: the slot's layer with every option at its largest.
        kernels: the slot's possible kernel sizes.
    """

    def __init__(self, layer: MBConv, kernels: Sequence[int]) -> None:
        super().__init__()
        mid = layer.mid
        self.expand = nn.Conv2d(layer.cin, mid, 1, bias=False) if mid != layer.cin else None
        self.expand_norm = ElasticNorm(mid, layer.eps) if mid != layer.cin else None
        self.depthwise = ElasticKernel(mid, kernels)
        self.depthwise_norm = ElasticNorm(mid, layer.eps)
        self.se = SqueezeExcite(mid, layer.se) if layer.se else None
        self.project = nn.Conv2d(mid, layer.cout, 1, bias=False)
        self.project_norm = ElasticNorm(layer.cout, layer.eps)

    def forward(self, x: Tensor, layer: MBConv) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w') with the layer's kernel size, middle channels and squeeze width."""
        mid = layer.mid
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = self.expand_norm(F.conv2d(x, self.expand.weight[:mid]), layer.act, owned=True)
        weight = self.depthwise.cut(mid, layer.kernel)
        y = self.depthwise_norm(depthwise(y, weight, layer.stride), layer.act, owned=True)
        if self.se is not None:
            y = self._squeeze(y, layer)
        y = self.project_norm(F.conv2d(y, self.project.weight[:, :mid]))
        return x + y if layer.residual else y

    def permute_middle(self, order: Tensor) -> None:
        """Reorder the middle channels in place: channel i becomes the former `order[i]`.

        The output of the block at its largest does not change.
        """
        assert self.expand is not None
        assert self.expand_norm is not None
        for parameter in (self.expand.weight, self.depthwise.weight):
            parameter.copy_(parameter[order])
        for norm in (self.expand_norm, self.depthwise_norm):
            for values in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
                assert values is not None
                values.copy_(values[order])
        self.project.weight.copy_(self.project.weight[:, order])
        if self.se is not None:
            self.se.reduce.weight.copy_(self.se.reduce.weight[:, order])
            self.se.expand.weight.copy_(self.se.expand.weight[order])
            bias = self.se.expand.bias
            assert bias is not None
            bias.copy_(bias[order])

    def _squeeze(self, y: Tensor, layer: MBConv) -> Tensor:
        s = self._cut_se(layer)
        gate = F.relu(F.conv2d(y.mean((2, 3), keepdim=True), s["se.reduce.weight"], s["se.reduce.bias"]))
        return y * F.hardsigmoid(F.conv2d(gate, s["se.expand.weight"], s["se.expand.bias"]))

    def _cut_se(self, layer: MBConv) -> dict[str, Tensor]:
        se, mid = layer.se, layer.mid
        assert self.se is not None
        reduce, expand = self.se.reduce, self.se.expand
        assert reduce.bias is not None
        assert expand.bias is not None
        return {
            "se.reduce.weight": reduce.weight[:se, :mid], "se.reduce.bias": reduce.bias[:se],
            "se.expand.weight": expand.weight[:mid, :se], "se.expand.bias": expand.bias[:mid],
        }  # fmt: skip

    def cut(self, layer: MBConv) -> dict[str, Tensor]:
        """Return the state dict of the corresponding `plain.MBConv`."""
        mid = layer.mid
        state = {
            "depthwise.weight": self.depthwise.cut(mid, layer.kernel),
            "project.weight": self.project.weight[:, :mid],
        }
        state |= self.depthwise_norm.cut(mid, "depthwise_norm") | self.project_norm.cut(layer.cout, "project_norm")
        if self.expand is not None and self.expand_norm is not None:
            state |= {"expand.weight": self.expand.weight[:mid]} | self.expand_norm.cut(mid, "expand_norm")
        return state if self.se is None else state | self._cut_se(layer)


class ElasticClassifier(nn.Linear):
    """Linear classifier on a 1x1 feature map."""

    def forward(self, x: Tensor, layer: Layer) -> Tensor:  # type: ignore[override]
        """(n, c, 1, 1) -> (n, classes)."""
        return super().forward(x.flatten(1))

    def cut(self, layer: Layer) -> dict[str, Tensor]:
        """Return the state dict of the corresponding `plain.Classifier`."""
        return {"weight": self.weight, "bias": self.bias}


class ElasticPool(nn.Module):
    """Global average pooling."""

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """(n, c, h, w) -> (n, c, 1, 1)."""
        return x.mean((2, 3), keepdim=True)

    def cut(self, layer: Layer) -> dict[str, Tensor]:
        """Return an empty state dict: pooling has no weights."""
        return {}


class FixedModule(nn.Module):
    """Wrapper of the plain module of any other operator, whose shape is never cut."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        load_modules([layer])
        self.plain = use(module_of(layer))

    def forward(self, x: Tensor, layer: Layer) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w')."""
        return self.plain(x)

    def cut(self, layer: Layer) -> dict[str, Tensor]:
        """Return the state dict of the plain module."""
        return dict(self.plain.state_dict())
