"""A depthwise convolution whose backward pass is fast on CPUs.

On CPUs the backward pass of a depthwise convolution takes most of a training step. Here the weight gradient is a small
compiled loop over NHWC memory, and the input gradient a *forward* depthwise convolution with the flipped kernel, or
with a stride another such loop. Other accelerators and inference go to torch. Gradients equal torch's to rounding.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, prange
from torch import Tensor, nn

from explorer.supernets.threads import spread

SMALL = 3  # kernels up to here: with a stride, torch is faster than the loop below
CHUNKS = 8  # fixed, so that sums have one order whatever the number of threads


@njit(cache=True)
def _span(shift: int, stride: int, inputs: int, outputs: int) -> tuple[int, int]:
    """Outputs o from which to which o * stride + shift is an input."""
    return max(0, -(shift // stride)), min(outputs, (inputs - 1 - shift) // stride + 1)


@njit(parallel=True, fastmath=True, cache=True)
def _weight_gradient(x: np.ndarray, g: np.ndarray, k: int, stride: int, dilation: int, partial: np.ndarray) -> None:
    """Add x (n, h, w, c) correlated with g (n, h', w', c) into partial (CHUNKS, k*k, c)."""
    n, h, w, channels = x.shape
    chunks = partial.shape[0]
    for chunk in prange(chunks):
        for image in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            for i in range(k):
                down = (i - k // 2) * dilation
                top, bottom = _span(down, stride, h, g.shape[1])
                for j in range(k):
                    aside = (j - k // 2) * dilation
                    left, right = _span(aside, stride, w, g.shape[2])
                    tap = i * k + j
                    for row in range(top, bottom):
                        for column in range(left, right):
                            for c in range(channels):
                                partial[chunk, tap, c] += (
                                    x[image, row * stride + down, column * stride + aside, c] * g[image, row, column, c]
                                )


@njit(parallel=True, fastmath=True, cache=True)
def _input_gradient(g: np.ndarray, weight: np.ndarray, k: int, stride: int, dilation: int, to_x: np.ndarray) -> None:
    """Spread g (n, h', w', c) by weight (k*k, c) over to_x (n, h, w, c)."""
    n, h, w, channels = to_x.shape
    for image in prange(n):
        to_x[image] = 0
        for i in range(k):
            down = (i - k // 2) * dilation
            top, bottom = _span(down, stride, h, g.shape[1])
            for row in range(top, bottom):
                for j in range(k):
                    aside = (j - k // 2) * dilation
                    left, right = _span(aside, stride, w, g.shape[2])
                    for column in range(left, right):
                        for c in range(channels):
                            to_x[image, row * stride + down, column * stride + aside, c] += (
                                g[image, row, column, c] * weight[i * k + j, c]
                            )


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.dilation = stride, dilation
        return _convolved(x, weight, stride, dilation)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        channels, k, stride, dilation = len(weight), weight.shape[-1], ctx.stride, ctx.dilation
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        spread(gradient.numel() * k * k)
        if stride == 1:
            to_x = _convolved(gradient, weight.flip(2, 3), 1, dilation)
        elif k <= SMALL:
            pad = [dilation * (k // 2)] * 2
            form = ([stride] * 2, pad, [dilation] * 2, False, [0, 0], channels, [True, False, False])
            to_x = torch.ops.aten.convolution_backward(gradient, x, weight, None, *form)[0]
        else:
            to_x = torch.empty_like(x, memory_format=torch.channels_last)
            taps = np.ascontiguousarray(weight.detach().reshape(channels, k * k).t().numpy())
            _input_gradient(_nhwc(gradient), taps, k, stride, dilation, _nhwc(to_x))
        if not ctx.needs_input_grad[1]:
            return to_x, None, None, None
        partial = np.zeros((CHUNKS, k * k, channels), np.float32)
        _weight_gradient(_nhwc(x), _nhwc(gradient), k, stride, dilation, partial)
        to_weight = torch.from_numpy(partial.sum(0)).t().reshape(channels, 1, k, k)
        return to_x, to_weight, None, None


def _nhwc(x: Tensor) -> np.ndarray:
    """(n, c, h, w) in channels_last memory -> its (n, h, w, c) array, without a copy."""
    return x.detach().permute(0, 2, 3, 1).numpy()


def _convolved(x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
    pad = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, stride=stride, padding=pad, dilation=dilation, groups=len(weight))


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Depthwise convolution with "same" padding; x (n, c, h, w), weight (c, 1, k, k)."""
    ours = x.device.type == "cpu" and x.dtype == torch.float32
    if ours and torch.is_grad_enabled() and x.requires_grad:
        return _Depthwise.apply(x.contiguous(memory_format=torch.channels_last), weight, stride, dilation)
    return _convolved(x, weight, stride, dilation)


class DepthwiseConv2d(nn.Conv2d):
    """`nn.Conv2d` with one group per channel, "same" padding, and the fast backward pass."""

    def __init__(self, channels: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        pad = dilation * (kernel // 2)
        super().__init__(channels, channels, kernel, stride, pad, dilation, groups=channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w')."""
        return depthwise(x, self.weight, self.stride[0], self.dilation[0])
