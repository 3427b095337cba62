"""Rank agreement of scores with true accuracies, overall and among networks of similar cost. No torch.

Kendall's tau is computed over all networks and within terciles of a cost: a score that merely prefers large networks
ranks well overall, but not among networks of similar size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from explorer.core.errors import InputError
from explorer.core.front import kendall_tau

TERCILES = ("small", "middle", "large")
DRAWS = 1000  # bootstrap samples


def agreement(
    scores: Mapping[str, np.ndarray], truth: np.ndarray, cost: np.ndarray, draws: int = DRAWS, level: float = 0.9
) -> pd.DataFrame:
    """Measure how well scores rank networks: Kendall's tau with the truth, overall and within each tercile of a cost.

    Args:
        scores: score name -> (n,) values, higher is meant to be better.
        truth: (n,) true accuracies.
        cost: (n,) costs that define the terciles, such as MACs.
        draws: bootstrap samples (of networks) for the intervals.
        level: share of the bootstrap samples within an interval.

    Returns:
        One row per score, with columns networks, tau and its interval lo, hi, then the same for the terciles: small,
        small_lo, small_hi, middle and so on.

    Raises:
        InputError: fewer than six networks, or arrays of different lengths.
    """
    truth, cost = np.asarray(truth, float), np.asarray(cost, float)
    if len(truth) < 6 or any(len(values) != len(truth) for values in (cost, *scores.values())):
        lengths = [len(truth), len(cost), *map(len, scores.values())]
        raise InputError(f"scores, truth and cost of {lengths} networks; expected the same number, at least 6")
    third = np.searchsorted(np.quantile(cost, [1 / 3, 2 / 3]), cost)
    groups = {"tau": np.arange(len(truth))} | {name: np.flatnonzero(third == i) for i, name in enumerate(TERCILES)}
    rows = []
    for values in scores.values():
        row: dict[str, float] = {"networks": len(truth)}
        for group, at in groups.items():
            row |= _tau(np.asarray(values, float)[at], truth[at], group, draws, level)
        rows.append(row)
    return pd.DataFrame(rows, index=pd.Index(scores, name="score"))


def mean_rank(*scores: np.ndarray) -> np.ndarray:
    """Combine scores by their mean rank: (n,) each, higher is better -> (n,) in (0, 1]; ties share their average rank.

    Scores with different errors, such as a network's size and its speed of learning, rank better in combination. No
    weights are fitted.
    """
    ranks = [pd.Series(np.asarray(values, float)).rank(pct=True) for values in scores]
    mean: np.ndarray = np.mean(ranks, axis=0)
    return mean


def _tau(score: np.ndarray, truth: np.ndarray, group: str, draws: int, level: float) -> dict[str, float]:
    """Return tau and the ends of its bootstrap interval, as columns of a group."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(score), len(score)) for _ in range(draws)]
    taus = [kendall_tau(score[rows], truth[rows]) for rows in drawn]
    low, high = np.percentile(taus, [50 * (1 - level), 50 * (1 + level)])
    before = "" if group == "tau" else f"{group}_"
    return {group: kendall_tau(score, truth), f"{before}lo": float(low), f"{before}hi": float(high)}
