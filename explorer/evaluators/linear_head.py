"""A linear classifier on fixed features, fitted on all images at once (needs torch)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

STRENGTHS = torch.logspace(-5, 1, 13, dtype=torch.float64)  # ridge penalties to choose from, per image
DECAY = 1e-3  # L2 penalty on the softmax classifier's weights
STEPS = 60  # of L-BFGS


def fit_head(features: Tensor, labels: Tensor, classes: int, kind: str) -> Callable[[Tensor], Tensor]:
    """Fit a linear classifier and return its prediction function.

    Args:
        features: (n, f) float64; every feature is standardised, and constant ones are set to 0.
        labels: (n,) int64.
        classes: number of classes.
        kind: "ridge" (least squares on one-hot labels, with the penalty chosen by generalised cross-validation) or
            "softmax" (cross-entropy, fitted by L-BFGS).

    Returns:
        A function from features (m, f) to predicted classes (m,) int64.
    """
    mean, spread = features.mean(0), features.std(0)
    scale = torch.where(spread > 1e-8, 1 / spread.clamp(min=1e-8), torch.zeros((), dtype=spread.dtype))
    z = (features - mean) * scale
    weights, bias = {"ridge": _ridge, "softmax": _softmax}[kind](z, labels, classes)
    return lambda x: ((x - mean) * scale @ weights + bias).argmax(1)


def _ridge(z: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Ridge regression with the penalty of least generalised cross-validation error (Golub, Heath and Wahba 1979)."""
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
