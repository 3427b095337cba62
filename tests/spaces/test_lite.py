import numpy as np
import pytest

from explorer.spaces import SPACES
from explorer.spaces.base import image_size
from explorer.supernets.sampling import largest, smallest


@pytest.mark.parametrize(("name", "blocks", "params"), [
    ("lite-w1.0", (2, 2, 3, 3, 4, 1), 4.652008), ("lite-w1.0-d1.1", (3, 3, 4, 4, 5, 1), 5.416680),
    ("lite-w1.1", (3, 3, 4, 4, 5, 1), 6.092072),
])  # fmt: skip
def test_the_published_network_is_in_the_space(name, blocks, params):
    """With its kernels (3 in stages 1, 3 and 6) and all of its depths it has the published number of parameters."""
    space = SPACES[name]
    values = {d: options[-1] for d, options in space.decisions.items()}
    values |= {d: 3 for d in values if d[0] == "k" and d[1] in "136"}
    assert tuple(values[f"d{s}"] for s in range(1, 7)) == blocks
    codes = [list(options).index(values[d]) for d, options in space.decisions.items()]
    layers = space.layers(codes)
    assert sum(layer.params() for layer in layers) / 1e6 == pytest.approx(params, abs=1e-6)
    assert all(layer.act in ("relu6", "none") for layer in layers)


def test_depths_go_from_one_to_the_stages_own():
    space = SPACES["lite-w1.0"]
    assert [space.decisions[f"d{s}"] for s in range(1, 7)] == [(1, 2), (1, 2), (1, 2, 3), (1, 2, 3), (1, 2, 3, 4), (1,)]
    assert space.decisions["r"] == (96, 128, 160, 192, 224)
    assert image_size(space) == 224
    assert image_size(space.restrict({"r": (96, 128)})) == 128


def test_costs_are_between_smallest_and_largest():
    space = SPACES["lite-w1.0"]
    from explorer.devices import load_device

    macs = load_device("macs_m")
    low, high = macs.cost(space, np.stack([smallest(space), largest(space)]))
    assert low < 25 < 395 < high
    found = macs.cost(space, space.sample(500, np.random.default_rng(0)))
    assert low <= found.min() <= found.max() <= high


def test_the_notation_of_once_for_all_goes_both_ways():
    space = SPACES["lite-w1.0"]
    from explorer.core.architecture import Architecture

    for codes in space.sample(20, np.random.default_rng(1)):
        a = Architecture(space, codes)
        assert space.from_ofa(space.to_ofa(a)) == a
