"""Batch norm and activation in one pass, forward and backward, for training on CPUs.

The two are memory-bound, so on CPUs they cost as much as the convolutions between them. Here the statistics take one
reading of the input, the output one more, and the backward pass two; the normalised and the pre-activation tensors are
never written. Inference, other accelerators and exports go to torch. Results equal torch's to rounding.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, prange
from torch import Tensor, nn

from explorer.supernets.threads import spread

CHUNKS = 8  # fixed, so that sums have one order whatever the number of threads
BLOCK = 64  # rows summed in float32 before they are added in float64
ACTS = {"none": 0, "relu": 1, "hswish": 2}


@njit(parallel=True, fastmath=True, cache=True)
def _moments(x: np.ndarray, sums: np.ndarray) -> None:
    """Per-channel sum and sum of squares of x (m, c) into sums (CHUNKS, 2, c)."""
    m, channels = x.shape
    chunks = sums.shape[0]
    for chunk in prange(chunks):
        low, high = chunk * m // chunks, (chunk + 1) * m // chunks
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


@njit(parallel=True, fastmath=True, cache=True)
def _forward(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, act: int, y: np.ndarray) -> None:
    """y = act(x * scale + shift), all (m, c)."""
    m, channels = x.shape
    for chunk in prange(CHUNKS):
        for row in range(chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS):
            if act == 0:
                for c in range(channels):
                    y[row, c] = x[row, c] * scale[c] + shift[c]
            elif act == 1:
                for c in range(channels):
                    y[row, c] = max(x[row, c] * scale[c] + shift[c], np.float32(0))
            else:
                for c in range(channels):
                    z = x[row, c] * scale[c] + shift[c]
                    gate = min(max(z + np.float32(3), np.float32(0)), np.float32(6))
                    y[row, c] = z * gate * np.float32(1 / 6)


@njit(parallel=True, fastmath=True, cache=True)
def _reduce(x: np.ndarray, g: np.ndarray, scale: np.ndarray, shift: np.ndarray, act: int,
            gz: np.ndarray, sums: np.ndarray) -> None:  # fmt: skip
    """gz = g * act'(x * scale + shift); per-channel sums of gz and gz * x into sums (CHUNKS, 2, c)."""
    m, channels = x.shape
    chunks = sums.shape[0]
    for chunk in prange(chunks):
        low, high = chunk * m // chunks, (chunk + 1) * m // chunks
        block = np.zeros((2, channels), np.float32)
        for start in range(low, high, BLOCK):
            block[:] = 0
            for row in range(start, min(start + BLOCK, high)):
                if act == 0:
                    for c in range(channels):
                        v = g[row, c]
                        gz[row, c] = v
                        block[0, c] += v
                        block[1, c] += v * x[row, c]
                elif act == 1:
                    for c in range(channels):
                        z = x[row, c] * scale[c] + shift[c]
                        v = g[row, c] if z > 0 else np.float32(0)
                        gz[row, c] = v
                        block[0, c] += v
                        block[1, c] += v * x[row, c]
                else:
                    for c in range(channels):
                        z = x[row, c] * scale[c] + shift[c]
                        inside = z * np.float32(1 / 3) + np.float32(0.5)
                        slope = np.float32(0) if z <= -3 else (np.float32(1) if z >= 3 else inside)
                        v = g[row, c] * slope
                        gz[row, c] = v
                        block[0, c] += v
                        block[1, c] += v * x[row, c]
            for c in range(channels):
                sums[chunk, 0, c] += block[0, c]
                sums[chunk, 1, c] += block[1, c]


@njit(parallel=True, fastmath=True, cache=True)
def _combine(x: np.ndarray, gz: np.ndarray, a: np.ndarray, b: np.ndarray, d: np.ndarray) -> None:
    """gz <- gz * a + x * b + d, per channel, in place."""
    m, channels = x.shape
    for chunk in prange(CHUNKS):
        for row in range(chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS):
            for c in range(channels):
                gz[row, c] = gz[row, c] * a[c] + x[row, c] * b[c] + d[c]


def _rows(x: Tensor) -> np.ndarray:
    """(n, c, h, w) in channels_last memory -> its (n*h*w, c) array, without a copy."""
    return x.detach().permute(0, 2, 3, 1).reshape(-1, x.shape[1]).numpy()


class _NormAct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float, act: int) -> tuple[Tensor, ...]:
        rows = _rows(x)
        spread(x.numel())
        sums = np.zeros((CHUNKS, 2, rows.shape[1]))
        _moments(rows, sums)
        mean, square = sums.sum(0) / len(rows)
        variance = np.maximum(square - mean**2, 0)
        inverse = 1 / np.sqrt(variance + eps)
        scale = (weight.detach().numpy() * inverse).astype(np.float32)
        shift = (bias.detach().numpy() - mean * scale).astype(np.float32)
        y = torch.empty_like(x, memory_format=torch.channels_last)
        _forward(rows, scale, shift, act, _rows(y))
        ctx.save_for_backward(x)
        ctx.statistics = mean, inverse, scale, shift
        ctx.act = act
        moments = torch.from_numpy(np.stack([mean, variance]).astype(np.float32))
        ctx.mark_non_differentiable(moments)
        return y, moments

    @staticmethod
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple:
        (x,) = ctx.saved_tensors
        mean, inverse, scale, shift = ctx.statistics
        rows = _rows(x)
        spread(x.numel())
        g = g.contiguous(memory_format=torch.channels_last)
        gz = torch.empty_like(g, memory_format=torch.channels_last)
        sums = np.zeros((CHUNKS, 2, rows.shape[1]))
        _reduce(rows, _rows(g), scale, shift, ctx.act, _rows(gz), sums)
        to_bias, with_x = sums.sum(0)
        to_weight = (with_x - mean * to_bias) * inverse
        # dx = scale * (gz - mean(gz) - xhat * mean(gz * xhat)),  xhat = (x - mean) * inverse
        b = -scale * inverse * to_weight / len(rows)
        d = -scale * to_bias / len(rows) - b * mean
        _combine(rows, _rows(gz), scale, b.astype(np.float32), d.astype(np.float32))
        to_weight, to_bias = (torch.from_numpy(v.astype(np.float32)) for v in (to_weight, to_bias))
        return gz, to_weight, to_bias, None, None


def norm_act(x: Tensor, norm: nn.BatchNorm2d, act: str, index: Tensor | None = None) -> Tensor:
    """Batch norm over the first `x.shape[1]` features of `norm` (or those of `index`), then the activation.

    Args:
        x: (n, c, h, w).
        norm: holds at least c features; its running statistics are updated in training.
        act: "none", "relu" or "hswish".
        index: (c,) which features of `norm` the channels are.
    """
    c = x.shape[1]
    chosen = slice(c) if index is None else index
    mean, var, weight, bias = (v[chosen] for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias))
    ours = norm.training and x.device.type == "cpu" and x.dtype == torch.float32
    if ours:
        x = x.contiguous(memory_format=torch.channels_last)
        y, moments = _NormAct.apply(x, weight, bias, norm.eps, ACTS[act])
        m = x.numel() // c
        with torch.no_grad():
            mean.lerp_(moments[0], norm.momentum)
            var.lerp_(moments[1] * (m / max(m - 1, 1)), norm.momentum)
            if index is not None:  # those were copies
                norm.running_mean[index], norm.running_var[index] = mean, var
        return y
    y = F.batch_norm(x, mean, var, weight, bias, norm.training, norm.momentum or 0.0, norm.eps)
    return y if act == "none" else F.relu(y) if act == "relu" else F.hardswish(y)
