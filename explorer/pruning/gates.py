"""Gates, which keep something as long as its learned strength is above a learned threshold (needs torch).

Liu et al. 2025 ("MG-DARTS"): m = step(sigmoid(strength) - t), with a surrogate gradient, so that the threshold is
learned too. Here, gates also scale by 2 sigmoid(strength), which is 1 at the start, so that a trained network does not
change until something is learned.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Step(torch.autograd.Function):
    """Step function: 1 above 0, else 0. The surrogate gradient is 2 - 4|x| for |x| <= 0.4, then 0.4 up to 1, then 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:  # type: ignore[override]
        far = ctx.saved_tensors[0].abs()
        return grad * torch.where(far <= 0.4, 2 - 4 * far, torch.where(far <= 1, 0.4, 0.0))


def step(x: Tensor) -> Tensor:
    """Step function with a surrogate gradient: 1 above 0, else 0 (see `_Step`)."""
    return _Step.apply(x)


class Unit(nn.Module):
    """The learned strength of one operation and its threshold for each granularity, shared by all its layers.

    Attributes:
        strength: logit; None if operations are not pruned, or for a layer outside any operation (a cell's inputs).
        t_operation, t_filter, t_weight: scalar thresholds, reset to 0 at the start of every stage.
    """

    def __init__(self, learns_strength: bool) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.zeros(())) if learns_strength else None
        self.t_operation, self.t_filter, self.t_weight = (nn.Parameter(torch.zeros(())) for _ in range(3))

    def reset(self) -> None:
        """Reset the thresholds to 0."""
        with torch.no_grad():
            for t in (self.t_operation, self.t_filter, self.t_weight):
                t.zero_()

    def scale(self) -> Tensor | None:
        """Return the factor of the operation's output; None if there is no strength."""
        if self.strength is None:
            return None
        share = torch.sigmoid(self.strength)
        return 2 * share * step(share - self.t_operation)


class Gate(nn.Module):
    """A batch norm followed by a scale per channel, which is 0 for pruned channels.

    Args:
        norm: the batch norm (with its activation).
        unit: the unit of the layer's operation, with its thresholds.
        channels: number of channels.
        learns: whether every channel has a learned strength.
        ends: whether the layer is the last of its operation, where the operation's strength is applied.
    """

    keep: Tensor

    def __init__(self, norm: nn.Module, unit: Unit, channels: int, learns: bool, ends: bool) -> None:
        super().__init__()
        self.norm = norm
        self.filters = nn.Parameter(torch.zeros(channels)) if learns else None
        self.register_buffer("keep", torch.ones(channels))
        self._shared: list[Any] = [unit, ends]  # a list hides the unit from this module's own parameters

    def scales(self) -> Tensor:
        """Return the factor of every channel, (channels,)."""
        unit, ends = self._shared
        scale = self.keep
        if self.filters is not None:
            share = torch.sigmoid(self.filters)
            scale = scale * 2 * share * step(share - unit.t_filter)
        whole = unit.scale() if ends else None
        return scale if whole is None else scale * whole

    def forward(self, x: Tensor) -> Tensor:
        """Normalise and scale (n, channels, h, w)."""
        return self.norm(x) * self.scales().view(1, -1, 1, 1)


class WeightMask(nn.Module):
    """A parametrization of a convolution's weight tensor that sets small weights to zero.

    Magnitudes are divided by the tensor's initial root mean square, so that a threshold means the same in every layer.
    """

    keep: Tensor
    spread: Tensor

    def __init__(self, weight: Tensor, unit: Unit) -> None:
        super().__init__()
        self.register_buffer("keep", torch.ones_like(weight))
        self.register_buffer("spread", weight.detach().square().mean().sqrt().clamp(min=1e-12))
        self._shared = [unit]

    def magnitude(self, weight: Tensor) -> Tensor:
        """Return every weight's magnitude, in units of `spread`."""
        return weight.abs() / self.spread

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight tensor with pruned and small weights set to zero."""
        return weight * self.keep * step(self.magnitude(weight) - self._shared[0].t_weight)
