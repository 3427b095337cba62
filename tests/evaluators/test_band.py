"""The band of the predictor covers what it says on networks that no fit has seen."""

import numpy as np

from explorer.evaluators import Predictor, PredictorConfig
from explorer.evaluators.predictor import half_width
from explorer.spaces import SPACES
from tests.searches.test_search import Synthetic


def test_a_small_sample_still_gives_the_coverage_that_is_promised():
    """A fifth of 150 rows alone is 30 errors, whose quantile is off by five points and more, this way or that."""
    space, covered = SPACES["mobile-32"], []
    truth = Synthetic(space)
    for seed in range(6):
        rng = np.random.default_rng(seed)
        codes = space.sample(1150, rng)
        accuracy = truth.evaluate(codes) + 0.01 * rng.normal(size=len(codes))
        config = PredictorConfig(members=2, epochs=40, width=64)
        fitted = Predictor.fit(space, (codes[:150], accuracy[:150]), config, seed)
        assert fitted.quality["calibrated_on"] == 150
        low, high = fitted.interval(fitted.evaluate(codes[150:]))
        covered.append(((low <= accuracy[150:]) & (accuracy[150:] <= high)).mean())
    assert abs(np.mean(covered) - 0.9) < 0.025
    assert min(covered) > 0.84


def test_the_half_width_is_the_least_that_covers():
    errors = np.arange(1, 100) / 1000
    assert half_width(errors, 0.9) == 0.09
    assert half_width(errors[:3], 0.9) == 0.003
