import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.spaces import SPACES, MobileSpace, UnifiedSpace
from explorer.spaces.operators import active, cross, mutate, neighbours, one_hot, unique
from explorer.testing import check_space


@pytest.mark.parametrize("name", list(SPACES))
def test_every_space_conforms(name):
    check_space(SPACES[name])


@given(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(list(SPACES)), rate=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_children_are_canonical_and_come_from_their_parents(seed, name, rate):
    space, rng = SPACES[name], np.random.default_rng(seed)
    a, b = space.sample(16, rng), space.sample(16, rng)
    child = cross(space, a, b, rng)
    assert (space.canonical(child) == child).all()
    on = active(space, child)
    if isinstance(space, UnifiedSpace):  # the canonical form sorts a block's genes
        limit = space._ranks(np.maximum(a, b)).max(2)
        assert (space._ranks(child).max(2) <= limit).all()
    elif isinstance(space, MobileSpace):  # other families put genes in another order
        assert (((child == a) | (child == b)) | ~on).all()
    mutant = mutate(space, a, rate, rng)
    assert (space.canonical(mutant) == mutant).all()
    assert rate > 0 or (mutant == a).all()


class _Bare:
    """A space with the members of the protocol only."""

    def __init__(self, space):
        self.name, self.decisions = space.name, space.decisions
        self.sample, self.canonical, self.layers = space.sample, space.canonical, space.layers


def test_activity_is_found_without_a_spaces_help(rng):
    space = SPACES["mobile-32"]
    codes = space.sample(50, rng)
    assert (active(_Bare(space), codes) == space.active(codes)).all()


def test_one_hot_has_two_ones_per_active_layer(rng):
    for name, extra in (("mobile-32", 0), ("mobilenetv3-w1.0", 1)):
        space = SPACES[name]
        codes = space.sample(30, rng)
        depth = np.array([sum(v for n, v in _values(space, row).items() if n[0] == "d") for row in codes])
        assert (one_hot(space, codes).sum(1) == 2 * depth + extra).all()
    fixed = SPACES["mobilenetv3-w1.2"].restrict({"r": (224,)})
    assert one_hot(fixed, fixed.sample(2, rng)).shape[1] == 120
    searched = SPACES["mobilenetv3-w1.2"].restrict({"r": tuple(range(128, 225, 16)) + (220,)})
    assert one_hot(searched, searched.sample(2, rng)).shape[1] == 128


def _values(space, row):
    return {n: options[c] for c, (n, options) in zip(row, space.decisions.items())}


def test_neighbours_are_one_gene_away(rng):
    space = SPACES["mobile-tiny"]
    code = space.sample(1, rng)[0]
    around = neighbours(space, code)
    assert (around[0] == code).all()
    assert len(unique(around)) > 5


def test_unique_keeps_the_order_of_first_appearance():
    codes = np.array([[2, 0], [1, 1], [2, 0], [0, 0]], np.int8)
    assert unique(codes).tolist() == [[2, 0], [1, 1], [0, 0]]
