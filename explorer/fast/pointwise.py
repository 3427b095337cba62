"""1x1 convolutions computed as matrix products.

In channels_last memory the pixels of a batch are the rows of a matrix. On CPUs a matrix product is faster than a
convolution, above all in the backward pass. Other devices and inference use torch.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explorer import fast

PARTS = 4  # number of partial sums of a weight gradient


class _Pointwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, cout: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.cout = cout
        return _image(_rows(x) @ weight[:cout, : x.shape[1], 0, 0].t(), x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        cin, g = x.shape[1], _rows(gradient.contiguous(memory_format=torch.channels_last))
        to_x = _image(g @ weight[: ctx.cout, :cin, 0, 0], x) if ctx.needs_input_grad[0] else None
        to_weight = None
        if ctx.needs_input_grad[1]:
            to_weight = torch.zeros_like(weight)
            to_weight[: ctx.cout, :cin, 0, 0] = _product(g, _rows(x))
        return to_x, to_weight, None


def _product(g: Tensor, x: Tensor) -> Tensor:
    """Return g (m, cout) transposed times x (m, cin).

    The sum over the rows is split into parts, because it is long enough to be shared between threads.
    """
    # the narrower matrix comes first, because the transposed one is copied
    if g.shape[1] > x.shape[1]:
        return _product(x, g).t()
    parts = PARTS if len(g) % PARTS == 0 else 1
    g, x = g.view(parts, -1, g.shape[1]), x.view(parts, -1, x.shape[1])
    return torch.bmm(g.transpose(1, 2), x).sum(0)


def _rows(x: Tensor) -> Tensor:
    """Return (n, c, h, w) in channels_last memory as (n*h*w, c), without a copy."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _image(rows: Tensor, like: Tensor) -> Tensor:
    n, _, h, w = like.shape
    return rows.view(n, h, w, -1).permute(0, 3, 1, 2)


def pointwise(x: Tensor, weight: Tensor, cout: int | None = None) -> Tensor:
    """Apply a 1x1 convolution with the first `cout` filters and the first c channels of `weight`.

    Args:
        x: (n, c, h, w).
        weight: (C', C, 1, 1), with C' >= cout and C >= c.
        cout: number of filters; None for all.
    """
    cout = len(weight) if cout is None else cout
    if applies(x, weight):
        return _Pointwise.apply(x.contiguous(memory_format=torch.channels_last), weight, cout)
    return F.conv2d(x, weight[:cout, : x.shape[1]])


def applies(x: Tensor, weight: Tensor) -> bool:
    """Whether the matrix product is used: training on a CPU, in float32."""
    trained = torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)
    return "pointwise" in fast.ON and trained and x.device.type == "cpu" and x.dtype == torch.float32
