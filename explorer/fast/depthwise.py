"""A depthwise convolution whose backward pass is fast on CPUs.

On CPUs the backward pass of a depthwise convolution takes most of a training step, and most of that is the gradient of
its weights. Here that gradient is a small compiled loop over NHWC memory. With stride 1, the input gradient is a
*forward* convolution with the flipped kernel. Kernel 3, other devices and inference use torch. Gradients equal torch's
up to rounding.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import prange
from torch import Tensor

from explorer import fast
from explorer.fast.compiled import compiled
from explorer.fast.threads import set_threads

CHUNKS = 8  # fixed, so the order of summation does not depend on the number of threads
OURS = 5  # smallest kernel for which the compiled loop is faster than torch


@compiled
def _weight_gradient(x: np.ndarray, g: np.ndarray, k: int, stride: int, dilation: int, partial: np.ndarray) -> None:
    """Add the correlation of x (n, h, w, c) with g (n, h', w', c) to partial (CHUNKS, k*k, c)."""
    n, h, w, channels = x.shape
    _, rows, columns, _ = g.shape
    chunks = partial.shape[0]
    for chunk in prange(chunks):
        for image in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            # a row of g and the k rows of x that it overlaps stay in the first-level cache
            for row in range(rows):
                for i in range(k):
                    down = row * stride + (i - k // 2) * dilation
                    if down < 0 or down >= h:
                        continue
                    for j in range(k):
                        aside = (j - k // 2) * dilation
                        left = max(0, (stride - 1 - aside) // stride)
                        right = min(columns, (w - 1 - aside) // stride + 1)
                        tap, fours = i * k + j, max(0, right - left) // 4
                        for four in range(fours):  # four products per load and store of the sum
                            q = left + 4 * four
                            p = q * stride + aside
                            for c in range(channels):
                                partial[chunk, tap, c] += (
                                    x[image, down, p, c] * g[image, row, q, c]
                                    + x[image, down, p + stride, c] * g[image, row, q + 1, c]
                                    + x[image, down, p + 2 * stride, c] * g[image, row, q + 2, c]
                                    + x[image, down, p + 3 * stride, c] * g[image, row, q + 3, c]
                                )
                        for q in range(left + 4 * fours, right):
                            for c in range(channels):
                                partial[chunk, tap, c] += x[image, down, q * stride + aside, c] * g[image, row, q, c]


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int, dilation: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.steps = stride, dilation
        pad = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, None, stride, pad, dilation, len(weight))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        x, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        to_x = _to_input(x, weight, gradient, *ctx.steps)
        to_weight = _to_weight(x, weight, gradient, *ctx.steps) if ctx.needs_input_grad[1] else None
        return to_x, to_weight, None, None


def _to_input(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int) -> Tensor:
    if stride == 1:
        pad = dilation * (weight.shape[-1] // 2)
        return F.conv2d(gradient, weight.flip(2, 3), None, 1, pad, dilation, len(weight))
    return _torch_backward(x, weight, gradient, stride, dilation, (True, False))[0]


def _to_weight(x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int) -> Tensor:
    channels, k = len(weight), weight.shape[-1]
    if k < OURS:
        return _torch_backward(x, weight, gradient, stride, dilation, (False, True))[1]
    partial = np.zeros((CHUNKS, k * k, channels), np.float32)
    set_threads(gradient.numel() * k * k)
    _weight_gradient(_nhwc(x), _nhwc(gradient), k, stride, dilation, partial)
    return torch.from_numpy(partial.sum(0)).t().reshape(channels, 1, k, k)


def _torch_backward(
    x: Tensor, weight: Tensor, gradient: Tensor, stride: int, dilation: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Return torch's own gradients of input and weights; `wanted` selects which are computed."""
    pad = dilation * (weight.shape[-1] // 2)
    to_x, to_weight, _ = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, [stride] * 2, [pad] * 2, [dilation] * 2, False, [0, 0], len(weight), [*wanted, False]
    )
    return to_x, to_weight


def _nhwc(x: Tensor) -> np.ndarray:
    return x.detach().permute(0, 2, 3, 1).contiguous().numpy()


def depthwise(x: Tensor, weight: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    """Apply a depthwise convolution with "same" padding; x (n, c, h, w), weight (c, 1, k, k)."""
    if applies(x):
        return _Depthwise.apply(x.contiguous(memory_format=torch.channels_last), weight, stride, dilation)
    pad = dilation * (weight.shape[-1] // 2)
    return F.conv2d(x, weight, stride=stride, padding=pad, dilation=dilation, groups=len(weight))


def applies(x: Tensor) -> bool:
    """Whether the fast backward pass is used: training on a CPU, in float32, with a gradient for the input."""
    on = "depthwise" in fast.ON and x.device.type == "cpu" and x.dtype == torch.float32
    return on and torch.is_grad_enabled() and x.requires_grad
