"""Fitting of the accuracy predictor's networks (needs torch)."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Ensemble:
    """A fitted ensemble; a call returns the prediction of every member."""

    def __init__(self, members: list[nn.Sequential]) -> None:
        self.members = members

    @torch.no_grad()
    def __call__(self, bits: np.ndarray) -> np.ndarray:
        """(n, D) float32 one-hot codes -> (n, members) predicted accuracies."""
        return torch.cat([m(torch.from_numpy(bits)) for m in self.members], 1).numpy()


def fit_ensemble(bits: np.ndarray, accuracy: np.ndarray, config: Any, seed: int) -> Ensemble:
    """Fit an ensemble whose members differ by their seed.

    Targets are standardised for fitting; the last layer is rescaled afterwards, so that members predict accuracies.

    Args:
        bits: (n, D) float32 one-hot codes.
        accuracy: (n,) float32 in [0, 1].
        config: a `PredictorConfig`.
        seed: seed of weights and batches.
    """
    mean, std = float(accuracy.mean()), float(max(accuracy.std(), 1e-6))
    x = torch.from_numpy(bits)
    y = torch.from_numpy((accuracy - mean) / std)[:, None]
    members = []
    for member in range(config.members):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed * 1000 + member)
            net = nn.Sequential(
                nn.Linear(bits.shape[1], config.width), nn.ReLU(), nn.Linear(config.width, config.width), nn.ReLU(),
                nn.Linear(config.width, 1),
            )  # fmt: skip
            steps = config.epochs * max(1, len(x) // config.batch)
            optimizer = torch.optim.AdamW(net.parameters(), config.lr, weight_decay=config.weight_decay)
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
            for _ in range(steps):
                rows = torch.randint(0, len(x), (min(config.batch, len(x)),))
                loss = F.mse_loss(net(x[rows]), y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
        with torch.no_grad():
            last = net[-1]
            assert isinstance(last, nn.Linear)
            last.weight.mul_(std)
            last.bias.mul_(std).add_(mean)
        members.append(net.eval())
    return Ensemble(members)


def linear_layers(net: nn.Sequential) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (weight, bias) of the linear layers, in order."""
    return [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in net if isinstance(m, nn.Linear)]
