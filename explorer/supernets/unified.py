"""The supernet of the unified family: all choices of a block share one expand and one project convolution.

Every sub-block has a depthwise convolution and a norm for each kernel size; the projection's norm is selected by the
number of skipped sub-blocks (switchable batch norm). The channels of skipped sub-blocks are never computed, so they
cost nothing (SGNAS, Huang and Chu 2021, section 3).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.layer import Layer
from explorer.core.operators import MBConv
from explorer.fast.depthwise import depthwise
from explorer.spaces import UnifiedSpace
from explorer.supernets.elastic import ElasticMBConv, ElasticNorm
from explorer.supernets.forms import use
from explorer.supernets.plain import same
from explorer.supernets.supernet import Supernet

NEGLIGIBLE = 0.01  # options with at most this probability are not computed in a soft pass


class UnifiedMBConv(nn.Module):
    """A unified block with the weights of all its choices.

    Args:
        layer: the block's layer with every option at its largest.
        kernels: possible kernel sizes of a sub-block.
        subblocks: number of sub-blocks, each with as many channels as the input.
        switchable: whether the projection has one norm per number of skipped sub-blocks, or one for all.
    """

    def __init__(self, layer: MBConv, kernels: Sequence[int], subblocks: int, switchable: bool = True) -> None:
        super().__init__()
        mid, self.kernels, self.subblocks, self.group = layer.mid, list(kernels), subblocks, layer.cin
        self.act, self.stride, self.residual = layer.act, layer.stride, layer.residual
        self.expand = same(layer.cin, mid)
        self.expand_norm = ElasticNorm(mid)
        self.weights, self.norms = _depthwise_of(mid, kernels)
        self.alone, self.alone_norms = _depthwise_of(layer.cin, kernels)  # used where only one sub-block runs
        self.project = same(mid, layer.cout)
        use(self)
        self.project_norms = nn.ModuleList(ElasticNorm(layer.cout) for _ in range(subblocks if switchable else 1))

    def _project_norm(self, skipped: int) -> ElasticNorm:
        norm = self.project_norms[min(skipped, len(self.project_norms) - 1)]
        assert isinstance(norm, ElasticNorm)
        return norm

    def _channels(self, layer: MBConv) -> tuple[Tensor, list[tuple[int, Tensor]]]:
        """Return the middle channels that run, in the plain network's order, and them grouped as (kernel, channels)."""
        kernels = layer.mixed or (layer.kernel,) * len(layer.places)
        index = torch.cat([torch.arange(p * self.group, (p + 1) * self.group) for p in layer.places])
        index = index.to(self.expand.weight.device)
        sizes = [self.group * kernels.count(k) for k in sorted(set(kernels))]
        return index, list(zip(sorted(set(kernels)), index.split(sizes)))

    def forward(self, x: Tensor, layer: MBConv) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h', w') with the sub-blocks in `layer.places`.

        A single sub-block has no expansion: it reads the block's input, with depthwise weights of its own.
        """
        index, groups = self._channels(layer)
        if len(layer.places) > 1:
            y = self.expand_norm(F.conv2d(x, self.expand.weight[index]), layer.act, index)
            parts = y.split([len(channels) for _, channels in groups], 1)
            outputs = [
                self.norms[str(k)](depthwise(part, self.weights[str(k)][channels], layer.stride), layer.act, channels)
                for (k, channels), part in zip(groups, parts)
            ]
        else:
            k = str(layer.kernel)
            outputs = [self.alone_norms[k](depthwise(x, self.alone[k], layer.stride), layer.act)]
        y = torch.cat(outputs, 1) if len(outputs) > 1 else outputs[0]
        y = F.conv2d(y, self.project.weight[:, index])
        y = self._project_norm(self.subblocks - len(layer.places))(y)
        return x + y if layer.residual else y

    def soft(self, x: Tensor, p: Tensor) -> Tensor:
        """Run a mixture of all choices, weighted by their probabilities (SGNAS, section 3.3).

        A single sub-block has no expansion, as in `forward`: the block without one counts by the probability that all
        other sub-blocks are skipped.

        Args:
            x: (n, cin, h, w).
            p: (sub-blocks, 1 + kernels) probabilities, with that of skipping in the first column.
        """
        others = torch.stack([torch.cat([p[:j, 0], p[j + 1 :, 0]]).prod() for j in range(len(p))])
        single = (p[:, 1:] * others[:, None]).sum(0)  # of every kernel: that it runs alone
        alone = single.sum()
        y = self._several(x, p)
        if float(alone.detach()) > NEGLIGIBLE:
            y = alone * self._single(x, single / alone) + (1 - alone) * y
        return x + y if self.residual else y

    def _single(self, x: Tensor, p: Tensor) -> Tensor:
        """Run one sub-block, the first, with a mixture of kernels, weighted by their (kernels,) probabilities."""
        outputs = [
            share * self.alone_norms[str(k)](depthwise(x, self.alone[str(k)], self.stride), self.act)
            for k, share in zip(self.kernels, p)
            if float(share.detach()) > NEGLIGIBLE
        ]
        y = F.conv2d(sum(outputs[1:], outputs[0]), self.project.weight[:, : self.group])
        return self._project_norm(self.subblocks - 1)(y)

    def _several(self, x: Tensor, p: Tensor) -> Tensor:
        """Run the expansion and a mixture of kernels in every sub-block."""
        y = self.expand_norm(self.expand(x), self.act)
        mixed: Tensor | None = None
        for column, k in enumerate(self.kernels, 1):
            if float(p[:, column].detach().max()) <= NEGLIGIBLE:
                continue
            z = self.norms[str(k)](depthwise(y, self.weights[str(k)], self.stride), self.act)
            z = z * p[:, column].repeat_interleave(self.group)[None, :, None, None]
            mixed = z if mixed is None else mixed + z
        return self._project_norm(round(float(p[:, 0].detach().sum())))(self.project(mixed))

    def cut(self, layer: MBConv) -> dict[str, Tensor]:
        """Return the state dict of the corresponding `plain.MBConv`."""
        index, groups = self._channels(layer)
        state = {"project.weight": self.project.weight[:, index]}
        if len(layer.places) == 1:
            k = str(layer.kernel)
            state |= {"depthwise.weight": self.alone[k]} | self.alone_norms[k].cut(self.group, "depthwise_norm")
        else:
            state |= {"expand.weight": self.expand.weight[index]} | self.expand_norm.cut(index, "expand_norm")
            for place, (kernel, channels) in enumerate(groups):
                name = "depthwise.weight" if len(groups) == 1 else f"depthwise.{place}.weight"
                state[name] = self.weights[str(kernel)][channels]
            norms = [self.norms[str(kernel)].cut(channels, "depthwise_norm") for kernel, channels in groups]
            state |= {n: torch.cat([part[n] for part in norms]) if t.ndim else t for n, t in norms[0].items()}
        return state | self._project_norm(self.subblocks - len(layer.places)).cut(
            len(self.project.weight), "project_norm"
        )


class _Norms(nn.ModuleDict):
    """One norm per kernel size; keys are kernel sizes as strings."""

    def __getitem__(self, key: str) -> ElasticNorm:
        norm = super().__getitem__(key)
        assert isinstance(norm, ElasticNorm)
        return norm


def _depthwise_of(channels: int, kernels: Sequence[int]) -> tuple[nn.ParameterDict, _Norms]:
    """Create the weights and norms of depthwise convolutions, one per kernel size."""
    weights = nn.ParameterDict({str(k): nn.Parameter(torch.empty(channels, 1, k, k)) for k in kernels})
    for weight in weights.values():
        nn.init.kaiming_normal_(weight, mode="fan_out")
    return weights, _Norms({str(k): ElasticNorm(channels) for k in kernels})


class UnifiedSupernet(Supernet):
    """Shared weights of a `UnifiedSpace`."""

    switchable = True

    def make(self, layer: Layer) -> nn.Module:
        """Create a `UnifiedMBConv` for a block with sub-blocks; the first block is an MBConv of fixed shape."""
        if not isinstance(layer, MBConv):
            return super().make(layer)
        if not layer.places:
            return ElasticMBConv(layer, (layer.kernel,))
        assert isinstance(self.space, UnifiedSpace)
        return UnifiedMBConv(layer, self.space.kernels, self.space.subblocks, self.switchable)

    def soft(self, images: Tensor, probabilities: Tensor) -> Tensor:
        """Return the logits (n, classes) of a mixture of architectures.

        Args:
            images: (n, c, h, w) float32 in [0, 1].
            probabilities: (blocks, sub-blocks, 1 + kernels), with that of skipping first; they receive gradients.
        """
        layers = self.layers([len(options) - 1 for options in self.space.decisions.values()])
        x = self.preprocess(images, layers[0].size).contiguous(memory_format=torch.channels_last)
        at = 0
        for layer in layers:
            block = self.block(layer.name)
            if isinstance(block, UnifiedMBConv):
                x, at = block.soft(x, probabilities[at]), at + 1
            else:
                x = block(x, layer)
        return x


class SingleNormSupernet(UnifiedSupernet):
    """A `UnifiedSupernet` with one norm per projection instead of switchable norms, as a baseline for comparison."""

    switchable = False
