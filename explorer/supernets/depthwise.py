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
def _weight_gradient(x: np.ndarray, g: np.ndarray, k: int, partial: np.ndarray) -> None:
    """Add x (n, h, w, c) correlated with g (n, h, w, c) into partial (CHUNKS, k*k, c)."""
    n, h, w, channels = x.shape
    pad = k // 2
    chunks = partial.shape[0]
    for chunk in prange(chunks):
        for image in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            for i in range(k):
                top, bottom = max(0, pad - i), min(h, h + pad - i)
                for j in range(k):
                    left, right = max(0, pad - j), min(w, w + pad - j)
                    tap = i * k + j
                    for row in range(top, bottom):
                        for column in range(left, right):
                            for c in range(channels):
                                partial[chunk, tap, c] += (
                                    x[image, row + i - pad, column + j - pad, c] * g[image, row, column, c]
                                )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        channels, k = len(weight), weight.shape[-1]
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        to_x = F.conv2d(gradient, weight.flip(2, 3), padding=k // 2, groups=channels)
        if not ctx.needs_input_grad[1]:
            return to_x, None
        partial = np.zeros((CHUNKS, k * k, channels), np.float32)
        spread(gradient.numel() * k * k)
        _weight_gradient(_nhwc(x), _nhwc(gradient), k, partial)
        to_weight = torch.from_numpy(partial.sum(0)).t().reshape(channels, 1, k, k)
        return to_x, to_weight


def _nhwc(x: Tensor) -> np.ndarray:
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


def depthwise(x: Tensor, weight: Tensor, stride: int = 1) -> Tensor:
    """Depthwise convolution with "same" padding; x (n, c, h, w), weight (c, 1, k, k)."""
    ours = stride == 1 and x.device.type == "cpu" and x.dtype == torch.float32
    if ours and torch.is_grad_enabled() and x.requires_grad:
        return _Depthwise.apply(x.contiguous(memory_format=torch.channels_last), weight)
    return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2, groups=len(weight))


class DepthwiseConv2d(nn.Conv2d):
    """`nn.Conv2d` with one group per channel, "same" padding, and the fast backward pass."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w')."""
        return depthwise(x, self.weight, self.stride[0])
