import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core.onnx_session import open_session
from explorer.devices import load_device
from explorer.devices.graph import network_graph
from explorer.spaces import SPACES
from explorer.supernets.sampling import largest, smallest

MACS = load_device("macs_m")


def less_classifier(space, codes):
    return MACS.cost(space, codes) - 1e-6 * space.final * space.classes


@pytest.mark.parametrize(
    ("name", "most", "least", "middle"),
    [("unified-imagenet", 556.13, 75.13, 270.44), ("unified-cifar", 171.76, 19.42, 80.83)],
)
def test_macs_are_those_of_the_published_space(name, most, least, middle):
    space = SPACES[name]
    three = space.canonical(np.array([[0, 2, 3, 0, 0, 0] * 19], np.int8))  # sub-blocks 3, 5, 7 and three skips
    rows = np.concatenate([[largest(space)], [smallest(space)], three])
    assert np.abs(less_classifier(space, rows) - [most, least, middle]).max() < 0.01


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_order_of_sub_blocks_changes_nothing(seed):
    space, rng = SPACES["unified-32"], np.random.default_rng(seed)
    ranks = rng.integers(0, 4, (1, 7, 4))
    ranks[:, :, 0] = rng.integers(1, 4, (1, 7))
    shuffled = ranks.copy()
    for block in range(7):  # the first one stays where it is: it is never skipped
        shuffled[0, block, 1:] = rng.permutation(shuffled[0, block, 1:])
    a, b = (space.canonical((r - np.array([1, 0, 0, 0])).reshape(1, -1).astype(np.int8)) for r in (ranks, shuffled))
    assert (a == b).all()
    assert tuple(space.layers(a[0])) == tuple(space.layers((ranks[0] - np.array([1, 0, 0, 0])).ravel()))


def test_nothing_is_counted_twice():
    small = replace(SPACES["unified-32"], name="small", widths=(24, 24), strides=(1, 1), subblocks=3)
    counts = [len(options) for options in small.decisions.values()]
    codes = np.array(list(itertools.product(*(range(c) for c in counts))), np.int8)
    canonical = np.unique(small.canonical(codes), axis=0)
    assert len(canonical) == small.size
    assert len({tuple(small.layers(row)) for row in canonical}) == small.size


def test_timing_graphs_of_mixed_blocks_run(rng):
    space = SPACES["unified-32"]
    for row in space.sample(2, rng):
        graph = network_graph(space.layers(row))
        out = open_session(graph.SerializeToString()).run(None, {"images": np.zeros((1, 3, 32, 32), np.float32)})[0]
        assert out.shape == (1, 10)
