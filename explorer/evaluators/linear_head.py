"""A linear classifier on fixed features (needs torch)."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

STRENGTHS = torch.logspace(-5, 1, 13, dtype=torch.float64)  # ridge penalties to choose from, per image
DECAY = 1e-3  # L2 penalty on the softmax classifier's weights
STEPS = 60  # of L-BFGS
LR, MOMENTUM, BATCH = 0.1, 0.9, 64  # of gradient descent; the rate falls along a cosine


def fit_head(
    features: Tensor, labels: Tensor, classes: int, kind: str, standardise: bool = True, epochs: float = 30,
    seed: int = 0,
) -> Callable[[Tensor], Tensor]:  # fmt: skip
    """Fit a linear classifier and return its prediction function.

    Args:
        features: (n, f) float64.
        labels: (n,) int64.
        classes: number of classes.
        kind: "ridge" (least squares on one-hot labels, with the penalty chosen by generalised cross-validation),
            "softmax" (cross-entropy, fitted by L-BFGS on all images at once) or "sgd" (cross-entropy, gradient descent
            on one batch after the other).
        standardise: whether every feature is brought to mean 0 and deviation 1, and constant ones to 0.
        epochs: passes over the images, of "sgd".
        seed: seed of the order of the images, of "sgd".

    Returns:
        A function from features (m, f) to predicted classes (m,) int64.
    """
    mean, scale = torch.zeros_like(features[0]), torch.ones_like(features[0])
    if standardise or kind == "ridge":  # least squares of centred features need no penalised bias
        mean = features.mean(0)
    if standardise:
        spread = features.std(0)
        scale = torch.where(spread > 1e-8, 1 / spread.clamp(min=1e-8), torch.zeros((), dtype=spread.dtype))
    z = (features - mean) * scale
    if kind == "sgd":
        weights, bias = _descent(z, labels, classes, epochs, seed)
    else:
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


def _descent(z: Tensor, labels: Tensor, classes: int, epochs: float, seed: int) -> tuple[Tensor, Tensor]:
    weights = torch.zeros(z.shape[1], classes, dtype=z.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=z.dtype, requires_grad=True)
    optimizer = torch.optim.SGD([weights, bias], LR, MOMENTUM)
    steps = max(1, round(epochs * len(z) / BATCH))
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rng = torch.Generator().manual_seed(seed)
    order = torch.cat([torch.randperm(len(z), generator=rng) for _ in range(steps * BATCH // len(z) + 1)])
    for rows in order[: steps * BATCH].split(BATCH):
        optimizer.zero_grad()
        F.cross_entropy(z[rows] @ weights + bias, labels[rows]).backward()
        optimizer.step()
        falling.step()
    return weights.detach(), bias.detach()
