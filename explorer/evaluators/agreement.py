"""Does a score rank networks, and does it more than count their channels? No torch.

Kendall's tau with a truth, over all networks and inside terciles of a cost: a score that only prefers large networks
ranks them overall, and not among equals.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from explorer.core.errors import InputError
from explorer.core.front import kendall_tau

TERCILES = ("small", "middle", "large")
DRAWS = 1000  # of the bootstrap


def agreement(
    scores: Mapping[str, np.ndarray], truth: np.ndarray, cost: np.ndarray, draws: int = DRAWS, level: float = 0.9
) -> pd.DataFrame:
    """A row per score: tau over all networks with its bootstrap interval (lo, hi), and inside each tercile of the cost.

    Args:
        scores: name -> (n,), higher is said to be better.
        truth: (n,) accuracy.
        cost: (n,) what the terciles are of, such as MACs.
        draws: of the bootstrap over networks.
        level: share of them that an interval holds.

    Returns:
        Indexed by score: networks, tau, lo, hi, then small, small_lo, small_hi and so on.

    Raises:
        InputError: fewer than six networks, or columns of different lengths.
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
    """(n,) each, higher is better -> (n,) in (0, 1]: the mean of their ranks, ties in the middle.

    Scores that err in different ways, such as a network's size and how fast it learns, rank better together; no weight
    is fitted.
    """
    ranks = [pd.Series(np.asarray(values, float)).rank(pct=True) for values in scores]
    mean: np.ndarray = np.mean(ranks, axis=0)
    return mean


def _tau(score: np.ndarray, truth: np.ndarray, group: str, draws: int, level: float) -> dict[str, float]:
    """{group: tau, and the ends of its interval}."""
    rng = np.random.default_rng(0)
    drawn = [rng.integers(0, len(score), len(score)) for _ in range(draws)]
    taus = [kendall_tau(score[rows], truth[rows]) for rows in drawn]
    low, high = np.percentile(taus, [50 * (1 - level), 50 * (1 + level)])
    before = "" if group == "tau" else f"{group}_"
    return {group: kendall_tau(score, truth), f"{before}lo": float(low), f"{before}hi": float(high)}
