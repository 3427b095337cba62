"""Batch norm and activation in one pass, forward and backward, for training on CPUs.

Both are memory-bound, so on CPUs they cost as much as the convolutions between them. Here the input is read once for
the statistics, once for the output and twice in the backward pass; the normalised and the pre-activation tensors are
never written. Each direction is one compiled call. Inference, other devices and exports use torch. Results equal
torch's up to rounding.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, prange
from torch import Tensor, nn

from explorer import fast
from explorer.fast.compiled import compiled
from explorer.fast.threads import set_threads

CHUNKS = 8  # fixed, so the order of summation does not depend on the number of threads
BLOCK = 64  # rows summed in float32 before they are added in float64
ACTS = {"none": 0, "relu": 1, "hswish": 2, "relu6": 3}


@njit(inline="always")
def _activated(z: Any, act: int) -> Any:
    if act == 0:
        y = z
    elif act == 1:
        y = max(z, np.float32(0))
    elif act == 3:
        y = min(max(z, np.float32(0)), np.float32(6))
    else:
        y = z * min(max(z + np.float32(3), np.float32(0)), np.float32(6)) * np.float32(1 / 6)
    return y


@njit(inline="always")
def _slope(z: Any, act: int) -> Any:
    if act == 0:
        s = np.float32(1)
    elif act == 1:
        s = np.float32(1) if z > 0 else np.float32(0)
    elif act == 3:
        s = np.float32(1) if z > 0 and z < 6 else np.float32(0)
    else:
        s = np.float32(0) if z <= -3 else (np.float32(1) if z >= 3 else z * np.float32(1 / 3) + np.float32(0.5))
    return s


@compiled
def _forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: float, act: int, momentum: float,
             running_mean: np.ndarray, running_var: np.ndarray, kept: np.ndarray, y: np.ndarray) -> None:  # fmt: skip
    """Compute y = act(batch norm of x), both (m, c), and update the running statistics.

    `kept` (4, c) receives mean, 1 / standard deviation, scale and shift.
    """
    m, channels = x.shape
    sums = np.zeros((CHUNKS, 2, channels))
    for chunk in prange(CHUNKS):
        low, high = chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS
        block = np.zeros((2, channels), np.float32)
        for start in range(low, high, BLOCK):
            block[:] = 0
            for row in range(start, min(start + BLOCK, high)):
                for c in range(channels):
                    v = x[row, c]
                    block[0, c] += v
                    block[1, c] += v * v
            for c in range(channels):
                sums[chunk, 0, c] += block[0, c]
                sums[chunk, 1, c] += block[1, c]
    for c in range(channels):
        total, square = 0.0, 0.0
        for chunk in range(CHUNKS):
            total += sums[chunk, 0, c]
            square += sums[chunk, 1, c]
        mean = total / m
        variance = max(square / m - mean * mean, 0.0)
        inverse = 1 / np.sqrt(variance + eps)
        kept[0, c], kept[1, c] = mean, inverse
        kept[2, c] = weight[c] * inverse
        kept[3, c] = bias[c] - mean * kept[2, c]
        running_mean[c] += momentum * (mean - running_mean[c])
        running_var[c] += momentum * (variance * m / max(m - 1, 1) - running_var[c])
    scale, shift = kept[2].astype(np.float32), kept[3].astype(np.float32)
    for chunk in prange(CHUNKS):
        for row in range(chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS):
            for c in range(channels):
                y[row, c] = _activated(x[row, c] * scale[c] + shift[c], act)


@compiled
def _backward(x: np.ndarray, g: np.ndarray, kept: np.ndarray, act: int, to_x: np.ndarray, to_weight: np.ndarray,
              to_bias: np.ndarray) -> None:  # fmt: skip
    """Compute the gradients of x, weight and bias from g (m, c), the gradient of y; `to_x` may be `g` itself."""
    m, channels = x.shape
    scale, shift = kept[2].astype(np.float32), kept[3].astype(np.float32)
    sums = np.zeros((CHUNKS, 2, channels))
    for chunk in prange(CHUNKS):
        low, high = chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS
        block = np.zeros((2, channels), np.float32)
        for start in range(low, high, BLOCK):
            block[:] = 0
            for row in range(start, min(start + BLOCK, high)):
                for c in range(channels):
                    v = g[row, c] * _slope(x[row, c] * scale[c] + shift[c], act)
                    block[0, c] += v
                    block[1, c] += v * x[row, c]
            for c in range(channels):
                sums[chunk, 0, c] += block[0, c]
                sums[chunk, 1, c] += block[1, c]
    # gradient of x: scale * (gz - mean(gz) - xhat * mean(gz * xhat)),  gz = g * act',  xhat = (x - mean) * inverse
    by_x, constant = np.empty(channels, np.float32), np.empty(channels, np.float32)
    for c in range(channels):
        total, with_x = 0.0, 0.0
        for chunk in range(CHUNKS):
            total += sums[chunk, 0, c]
            with_x += sums[chunk, 1, c]
        mean, inverse = kept[0, c], kept[1, c]
        with_xhat = (with_x - mean * total) * inverse
        to_weight[c], to_bias[c] = with_xhat, total
        b = -kept[2, c] * inverse * with_xhat / m
        by_x[c] = b
        constant[c] = -kept[2, c] * total / m - b * mean
    for chunk in prange(CHUNKS):
        for row in range(chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS):
            for c in range(channels):
                v = g[row, c] * _slope(x[row, c] * scale[c] + shift[c], act)
                to_x[row, c] = v * scale[c] + x[row, c] * by_x[c] + constant[c]


def _rows(x: Tensor) -> np.ndarray:
    """Return (n, c, h, w) in channels_last memory as an (n*h*w, c) array, without a copy."""
    return x.detach().permute(0, 2, 3, 1).reshape(-1, x.shape[1]).numpy()


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, norm: nn.BatchNorm2d, act: int, index: Any, owned: bool
    ) -> Tensor:
        c = x.shape[1]
        chosen = slice(c) if index is None else index.numpy()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        mean, var, momentum = norm.running_mean.numpy(), norm.running_var.numpy(), norm.momentum or 0.0
        own_mean, own_var = mean[chosen], var[chosen]  # views, or copies where there is an index
        kept = np.empty((4, c))
        y = torch.empty_like(x, memory_format=torch.channels_last)
        set_threads(x.numel())
        _forward(
            _rows(x), weight.detach().numpy()[chosen], bias.detach().numpy()[chosen], norm.eps, act, momentum,
            own_mean, own_var, kept, _rows(y)
        )  # fmt: skip
        if index is not None:
            mean[chosen], var[chosen] = own_mean, own_var
        ctx.save_for_backward(x)
        ctx.rest = kept, act, chosen, len(weight), owned
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple:
        (x,) = ctx.saved_tensors
        kept, act, chosen, features, owned = ctx.rest
        c = x.shape[1]
        g = g.contiguous(memory_format=torch.channels_last)
        to_x = g if owned else torch.empty_like(g)
        own = np.empty((2, c), np.float32)
        set_threads(x.numel())
        _backward(_rows(x), _rows(g), kept, act, _rows(to_x), own[0], own[1])
        whole = np.zeros((2, features), np.float32)
        whole[:, chosen] = own
        to_weight, to_bias = torch.from_numpy(whole)
        return to_x, to_weight, to_bias, None, None, None, None


def norm_act(x: Tensor, norm: nn.BatchNorm2d, act: str, index: Tensor | None = None, owned: bool = False) -> Tensor:
    """Apply batch norm, then the activation.

    Batch norm uses the first `x.shape[1]` features of `norm`, or those of `index`.

    Args:
        x: (n, c, h, w).
        norm: holds at least c features; its running statistics are updated in training.
        act: "none", "relu", "relu6" or "hswish".
        index: (c,) features of `norm` that belong to the channels of x.
        owned: whether the gradient of the result is a new tensor that nothing else uses, so that the gradient of x may
            overwrite it (true where a convolution uses the result, false where a sum does).
    """
    if applies(x, norm):
        x = x.contiguous(memory_format=torch.channels_last)
        return _NormAct.apply(x, norm.weight, norm.bias, norm, ACTS[act], index, owned)
    chosen = slice(x.shape[1]) if index is None else index
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, var, weight, bias = (v[chosen] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias))
    y = F.batch_norm(x, mean, var, weight, bias, norm.training, norm.momentum or 0.0, norm.eps)
    if act == "none":
        return y
    return F.relu(y) if act == "relu" else F.relu6(y) if act == "relu6" else F.hardswish(y)


def applies(x: Tensor, norm: nn.BatchNorm2d) -> bool:
    """Whether the fast pass is used: training mode on a CPU, in float32."""
    return "normact" in fast.ON and norm.training and x.device.type == "cpu" and x.dtype == torch.float32
