"""The nearest network to budgets, against the exhaustive truth; also where a cost is no sum."""

import numpy as np
import pytest

from explorer.devices import load_device
from explorer.devices.population import costs_of, nearest, overshoot
from explorer.spaces import SPACES

SPACE = SPACES["mobile-tiny"]


class Largest:
    """The cost of the dearest decision, as a peak of memory is: one change alone often gains nothing."""

    name, unit = "peak", "kB"

    def __init__(self, seed):
        self.prices = np.random.default_rng(seed).random((len(SPACE.decisions), 8))

    def cost(self, space, codes):
        return 0.1 + np.max([own[codes[:, i]] for i, own in enumerate(self.prices)], 0)


class Slower:
    """The slower of two devices, of which each is a sum."""

    name, unit = "slower", "ms"

    def __init__(self, seed):
        self.share = 2 * np.random.default_rng(seed).random()

    def cost(self, space, codes):
        mobile, size = (load_device(name).cost(space, codes) for name in ("mobile", "params_m"))
        return np.maximum(mobile / 0.2, self.share * size / 0.02)


@pytest.mark.parametrize("kind", ["peak", "slower", "peak and mobile", "mobile and gpu"])
def test_no_network_is_nearer(kind):
    mobile, codes = load_device("mobile"), SPACE.enumerate()
    wrong = []
    for seed in range(60):
        devices = {
            "peak": [Largest(seed)], "slower": [Slower(seed)], "peak and mobile": [Largest(seed), mobile],
            "mobile and gpu": [mobile, load_device("gpu")],
        }[kind]  # fmt: skip
        costs = costs_of(SPACE, devices, codes)
        limits = costs.min(0) * np.exp(0.3 * np.random.default_rng(seed).normal(size=len(devices)))
        found = costs_of(SPACE, devices, nearest(SPACE, devices, limits)[None])
        if overshoot(found, limits)[0] > overshoot(costs, limits).min() * (1 + 1e-9):
            wrong.append(seed)
    assert not wrong


def test_a_peak_is_brought_down_in_a_large_space(rng):
    space = SPACES["mobile-32"]
    prices = rng.random((len(space.decisions), 8))

    class Peak:
        name, unit = "peak", "kB"

        def cost(self, space, codes):
            return np.max([own[codes[:, i]] for i, own in enumerate(prices)], 0)

    found = Peak().cost(space, nearest(space, [Peak()], np.ones(1))[None])[0]
    assert found <= Peak().cost(space, space.sample(100_000, rng)).min()
