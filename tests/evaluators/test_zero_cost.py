import numpy as np
import pytest
import torch

from explorer.data.datasets import load_dataset
from explorer.evaluators.zero_cost import SCORES, naswot, zero_cost
from explorer.spaces import SPACES
from explorer.supernets import build
from explorer.supernets.sampling import largest, smallest


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.mark.parametrize("name", list(SCORES))
def test_it_is_a_function_of_network_and_seed(name, digits):
    space = SPACES["mobile-tiny"]
    layers = space.layers(space.sample(1, np.random.default_rng(0))[0])
    values = [zero_cost(layers, digits.train, digits.mean, digits.std, name, seed, 32) for seed in (0, 0, 1)]
    assert np.isfinite(values).all()
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("name", ["synflow", "naswot", "snip"])
def test_more_of_everything_scores_higher(name, digits):
    space = SPACES["mobile-tiny"]
    low, high = (zero_cost(space.layers(row), digits.train, digits.mean, digits.std, name, 0, 32)
                 for row in (smallest(space), largest(space)))  # fmt: skip
    assert high > low


def test_equal_images_have_no_kernel_to_speak_of(digits):
    space = SPACES["nasbench201"].scaled(width=4, depth=1).for_images(1, 10, 28)
    network = build(space.layers([3, 0, 3, 0, 0, 3]), seed=0)
    one = torch.rand(1, 1, 28, 28)
    different, equal = torch.rand(8, 1, 28, 28), one.expand(8, -1, -1, -1)
    labels = torch.zeros(8, dtype=torch.int64)
    assert naswot(network, different, labels) > naswot(network, equal, labels)
