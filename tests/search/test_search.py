import numpy as np
import pytest

from explorer.devices import load_device
from explorer.errors import InputError
from explorer.front import make_front
from explorer.search import ALGORITHMS, search
from explorer.spaces import SPACES
from explorer.spaces.operators import one_hot


class Synthetic:
    """A smooth accuracy on any space."""

    def __init__(self, space):
        self.space = space
        self.weights = np.random.default_rng(0).uniform(
            0, 1, one_hot(space, space.sample(1, np.random.default_rng(0))).shape[1]
        )

    def evaluate(self, codes):
        return 1 - np.exp(-one_hot(self.space, codes) @ self.weights / 8)


@pytest.mark.parametrize("devices", [["mobile"], ["mobile", "params_m"]])
def test_search_finds_the_whole_front_of_an_enumerable_space(devices):
    space = SPACES["mobile-tiny"]
    targets = [load_device(name) for name in devices]
    evaluator = Synthetic(space)
    codes = space.enumerate()
    costs = np.column_stack([t.cost(space, codes) for t in targets])
    truth = make_front(space, codes, evaluator.evaluate(codes), costs, devices)
    found = search(space, evaluator, targets, evaluations=space.size, seed=0)
    assert np.allclose(found.accuracy, truth.accuracy)
    assert np.allclose(found.costs, truth.costs)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_search_keeps_its_count_and_is_reproducible(algorithm):
    space = SPACES["mobile-32"]
    first, again = (search(space, Synthetic(space), [load_device("gpu")], algorithm, 3000, seed=4) for _ in range(2))
    assert (first.codes == again.codes).all()
    assert first.evaluations <= 3000
    assert first.hypervolume > 0
    costs = [c.costs["gpu"] for c in first]
    assert costs == sorted(costs)


def test_memetic_beats_random():
    space = SPACES["mobile-32"]
    runs = {a: search(space, Synthetic(space), [load_device("mobile")], a, 5000) for a in ALGORITHMS}
    reference = np.maximum(runs["memetic"].reference, runs["random"].reference)
    from explorer.front import hypervolume

    volume = {a: hypervolume(f.accuracy, f.costs, reference) for a, f in runs.items()}
    assert volume["memetic"] > 1.01 * volume["random"]


def test_bad_requests():
    space = SPACES["mobile-tiny"]
    with pytest.raises(InputError, match="unknown algorithm 'nsga9'"):
        search(space, Synthetic(space), [load_device("gpu")], "nsga9")
    with pytest.raises(InputError, match="at least one device"):
        search(space, Synthetic(space), [])
