"""Samples of a space that are spread over a cost."""

import numpy as np
import pytest

from explorer.devices import load_device
from explorer.evaluators import spread_sample
from explorer.spaces import SPACES


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_a_sample_has_as_many_networks_as_asked_for(n, rng):
    space, macs = SPACES["mobile-32"], load_device("macs_m")
    codes = spread_sample(space, n, lambda c: macs.cost(space, c), rng)
    assert len(np.unique(codes, axis=0)) == len(codes) == n
