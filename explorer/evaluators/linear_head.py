"""A linear classifier on fixed features, fitted at once (needs torch)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

STRENGTHS = torch.logspace(-5, 1, 13, dtype=torch.float64)  # of the ridge, per image
DECAY = 1e-3  # of the softmax's weights
STEPS = 60


def fit_head(features: Tensor, labels: Tensor, classes: int, kind: str) -> Callable[[Tensor], Tensor]:
    """Features to the class that a linear layer gives them.

    Args:
        features: (n, f) float64; each is brought to mean 0 and spread 1, constant ones to 0.
        labels: (n,) int64.
        classes: how many there are.
        kind: "ridge" (least squares to one-hot labels, its strength by generalised cross-validation) or "softmax"
            (cross-entropy, L-BFGS).

    Returns:
        (m, f) -> (m,) int64.
    """
    mean, spread = features.mean(0), features.std(0)
    scale = torch.where(spread > 1e-8, 1 / spread.clamp(min=1e-8), torch.zeros((), dtype=spread.dtype))
    z = (features - mean) * scale
    weights, bias = {"ridge": _ridge, "softmax": _softmax}[kind](z, labels, classes)
    return lambda x: ((x - mean) * scale @ weights + bias).argmax(1)


def _ridge(z: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """The strength of least generalised cross-validation error (Golub, Heath and Wahba 1979)."""
    n = len(z)
    y = F.one_hot(labels, classes).to(z.dtype)
    bias = y.mean(0)
    values, vectors = torch.linalg.eigh(z.T @ z / n)
    values = values.clamp(min=0)
    projected = vectors.T @ (z.T @ (y - bias) / n)
    total, scores = ((y - bias) ** 2).sum() / n, []
    for strength in STRENGTHS:
        kept = values / (values + strength)
        fitted = (projected**2 * ((2 - kept) / (values + strength))[:, None]).sum()
        scores.append((total - fitted) / (1 - (kept.sum() + 1) / n).clamp(min=1e-3) ** 2)
    strength = STRENGTHS[int(torch.stack(scores).argmin())]
    return vectors @ (projected / (values + strength)[:, None]), bias


def _softmax(z: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    weights = torch.zeros(z.shape[1], classes, dtype=z.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=z.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights, bias], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(z @ weights + bias, labels) + DECAY * (weights**2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return weights.detach(), bias.detach()
