"""A depthwise convolution whose backward pass is fast on CPUs.

On CPUs the backward pass of a depthwise convolution takes most of a training step. Here the input gradient is a
*forward* depthwise convolution with the flipped kernel, and the weight gradient a small compiled loop over NHWC memory.
Stride 2, other accelerators and inference go to torch. Gradients equal torch's to rounding.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, prange
from torch import Tensor, nn

from explorer.supernets.threads import spread

CHUNKS = 8  # fixed, so that sums have one order whatever the number of threads


@njit(parallel=True, fastmath=True, cache=True)
def _weight_gradient(x: np.ndarray, g: np.ndarray, k: int, dilation: int, partial: np.ndarray) -> None:
    """Add x (n, h, w, c) correlated with g (n, h, w, c) into partial (CHUNKS, k*k, c)."""
    n, h, w, channels = x.shape
    chunks = partial.shape[0]
    for chunk in prange(chunks):
        for image in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            for i in range(k):
                down = (i - k // 2) * dilation
                top, bottom = max(0, -down), min(h, h - down)
                for j in range(k):
                    aside = (j - k // 2) * dilation
                    left, right = max(0, -aside), min(w, w - aside)
                    tap = i * k + j
                    for row in range(top, bottom):
                        for column in range(left, right):
                            for c in range(channels):
                                partial[chunk, tap, c] += (
                                    x[image, row + down, column + aside, c] * g[image, row, column, c]
                                )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return F.conv2d(x, weight, padding=dilation * (weight.shape[-1] // 2), dilation=dilation, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        channels, k, dilation = len(weight), weight.shape[-1], ctx.dilation
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        to_x = F.conv2d(gradient, weight.flip(2, 3), padding=dilation * (k // 2), dilation=dilation, groups=channels)
        if not ctx.needs_input_grad[1]:
            return to_x, None, None
        partial = np.zeros((CHUNKS, k * k, channels), np.float32)
        spread(gradient.numel() * k * k)
        _weight_gradient(_nhwc(x), _nhwc(gradient), k, dilation, partial)
        to_weight = torch.from_numpy(partial.sum(0)).t().reshape(channels, 1, k, k)
        return to_x, to_weight, None


def _nhwc(x: Tensor) -> np.ndarray:
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Depthwise convolution with "same" padding; x (n, c, h, w), weight (c, 1, k, k)."""
    ours = stride == 1 and x.device.type == "cpu" and x.dtype == torch.float32
    if ours and torch.is_grad_enabled() and x.requires_grad:
        return _Depthwise.apply(x.contiguous(memory_format=torch.channels_last), weight, dilation)
    pad = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, stride=stride, padding=pad, dilation=dilation, groups=len(weight))


class DepthwiseConv2d(nn.Conv2d):
    """`nn.Conv2d` with one group per channel, "same" padding, and the fast backward pass."""

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        pad = dilation * (kernel // 2)
        super().__init__(channels, channels, kernel, stride, pad, dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w')."""
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])
