"""Fast forms of plain modules: the same parameters and results, but faster training on CPUs.

`use` switches every module of a network that has a fast form to that form. In every call the form checks whether its
fast implementation applies (`explorer.fast`); if not, it computes as the plain module does.
"""

from __future__ import annotations

from torch import Tensor, nn

from explorer import fast
from explorer.fast.depthwise import depthwise
from explorer.fast.normact import norm_act
from explorer.supernets.plain import NormAct


class FastDepthwise(nn.Conv2d):
    """Fast form of a depthwise convolution with "same" padding."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w')."""
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])


class FastNormAct(NormAct):
    """Fast form of `NormAct`: batch norm with its activation."""

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same, normalised and activated."""
        return norm_act(x, self, self.act, owned=self.owned)


def use(network: nn.Module) -> nn.Module:
    """Switch every module to its fast form, in place, unless `explorer.fast` is off; weights and their names stay."""
    if fast.ON:
        for module in network.modules():
            form = _form_of(module)
            if form is not None:
                module.__class__ = form  # the same parameters; only `forward` differs
    return network


def _form_of(module: nn.Module) -> type[nn.Module] | None:
    if type(module) is NormAct:
        return FastNormAct
    if type(module) is not nn.Conv2d or module.bias is not None:
        return None
    depthwise_only = module.groups == module.in_channels == module.out_channels > 1
    return FastDepthwise if depthwise_only else None
