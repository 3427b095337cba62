"""What decides that something stays: a learned strength over a learned threshold (torch).

Liu et al. 2025 ("MG-DARTS"): m = step(sigmoid(strength) - t), with a surrogate gradient, so that the threshold
learns too. Ours scale by 2 sigmoid(strength), 1 at the start, so that a trained network stays as it is until
something is learned.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Step(torch.autograd.Function):
    """1 above 0, else 0. Its gradient is 2 - 4|x| up to 0.4, then 0.4 up to 1, then 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        far = ctx.saved_tensors[0].abs()
        return grad * torch.where(far <= 0.4, 2 - 4 * far, torch.where(far <= 1, 0.4, 0.0))


def step(x: Tensor) -> Tensor:
    """See `_Step`."""
    return _Step.apply(x)


class Unit(nn.Module):
    """What one operation learns: its strength, and a threshold for each granularity; shared by all its layers.

    Attributes:
        strength: logit; None where operations are not searched, or where it is no operation (a cell's inputs).
        t_operation, t_filter, t_weight: scalars, 0 at the start of every stage.
    """

    def __init__(self, learns_strength: bool) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(())) if learns_strength else None
        self.t_operation, self.t_filter, self.t_weight = (nn.Parameter(torch.zeros(())) for _ in range(3))

    def reset(self) -> None:
        """Thresholds to 0."""
        with torch.no_grad():
            for t in (self.t_operation, self.t_filter, self.t_weight):
                t.zero_()

    def scale(self) -> Tensor | None:
        """What the operation's output is multiplied by."""
        if self.strength is None:
            return None
        share = torch.sigmoid(self.strength)
        return 2 * share * step(share - self.t_operation)


class Gate(nn.Module):
    """Behind a batch norm: scales channels, and switches off those that are pruned.

    Args:
        norm: the batch norm (with its activation).
        unit: whose thresholds are used.
        learns: whether channels have strengths.
        ends: the operation's own strength is applied here.
    """

    keep: Tensor

    def __init__(self, norm: nn.Module, unit: Unit, channels: int, learns: bool, ends: bool) -> None:
        super().__init__()
        self.norm = norm
        self.filters = nn.Parameter(torch.zeros(channels)) if learns else None
        self.register_buffer("keep", torch.ones(channels))
        self._shared: list[Any] = [unit, ends]  # a list hides the unit from this module's own parameters

    def scales(self) -> Tensor:
        """(channels,) factors."""
        unit, ends = self._shared
        scale = self.keep
        if self.filters is not None:
            share = torch.sigmoid(self.filters)
            scale = scale * 2 * share * step(share - unit.t_filter)
        whole = unit.scale() if ends else None
        return scale if whole is None else scale * whole

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> the same."""
        return self.norm(x) * self.scales().view(1, -1, 1, 1)


class WeightMask(nn.Module):
    """A parametrization of a convolution's weight: small ones are zero.

    Sizes are compared with the weight's own spread at the start, so that one threshold means the same everywhere.
    """

    keep: Tensor
    spread: Tensor

    def __init__(self, weight: Tensor, unit: Unit) -> None:
        super().__init__()
        self.register_buffer("keep", torch.ones_like(weight))
        self.register_buffer("spread", weight.detach().square().mean().sqrt().clamp(min=1e-12))
        self._shared = [unit]

    def margin(self, weight: Tensor) -> Tensor:
        """How far every weight is above the threshold, in spreads."""
        return weight.abs() / self.spread - self._shared[0].t_weight

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that computes."""
        return weight * self.keep * step(self.margin(weight))
