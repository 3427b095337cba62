import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.evaluators import agreement, mean_rank


def test_a_score_that_counts_channels_ranks_overall_and_not_among_equals():
    rng = np.random.default_rng(0)
    cost = np.repeat([1.0, 2.0, 3.0], 30) + 0.01 * rng.random(90)
    truth = np.round(cost) + 0.5 * rng.random(90)
    table = agreement({"cost": cost, "truth": truth, "backwards": -truth}, truth, cost, draws=200)
    assert table.loc["truth", "tau"] == 1
    assert table.loc["backwards", "tau"] == -1
    assert table.loc["cost", "tau"] > 0.6
    assert all(abs(table.loc["cost", name]) < 0.3 for name in ("small", "middle", "large"))
    assert table.loc["cost", "lo"] < table.loc["cost", "tau"] < table.loc["cost", "hi"]


def test_too_few_or_unequal_columns_are_refused():
    with pytest.raises(InputError, match="at least 6"):
        agreement({"a": np.ones(3)}, np.ones(3), np.ones(3))
    with pytest.raises(InputError, match="same number"):
        agreement({"a": np.ones(7)}, np.ones(8), np.ones(8))


def test_two_noisy_scores_rank_better_together():
    rng = np.random.default_rng(0)
    truth = rng.random(200)
    a, b = (truth + 0.5 * rng.standard_normal(200) for _ in range(2))
    both = mean_rank(a, 1000 * b)  # scales do not matter
    taus = agreement({"a": a, "b": b, "both": both}, truth, rng.random(200), draws=20)["tau"]
    assert taus["both"] > taus[["a", "b"]].max() + 0.03
    assert mean_rank([1, 1, 3]).tolist() == pytest.approx([0.5, 0.5, 1])
    assert mean_rank([-np.inf, 0, 1]).argmin() == 0
