import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.core.front import Front, make_front
from explorer.devices import load_device
from explorer.searches.compare import against, compare, union
from explorer.searches.decide import best, by_weights, knees, nearest_to, one_more, within
from explorer.spaces import SPACES
from tests.searches.test_search import Synthetic


@pytest.fixture
def front() -> Front:
    """Accuracy 0.5 to 0.9 over costs 1 to 5, with a knee at cost 2."""
    space = SPACES["mobile-32"]
    codes = space.sample(5, np.random.default_rng(0))
    return make_front(space, codes, np.array([0.5, 0.8, 0.82, 0.85, 0.9]), np.arange(1.0, 6)[:, None], ["gpu"], (1, 9))


def test_budgets_filter(front):
    assert within(front, {"gpu": 3}).costs.ravel().tolist() == [1, 2, 3]
    assert best(front, {"gpu": 3.5}).accuracy == 0.82
    with pytest.raises(InputError, match="lowest costs on it are gpu 1"):
        best(front, {"gpu": 0.5})
    with pytest.raises(InputError, match="unknown device 'tpu'"):
        within(front, {"tpu": 3})


def test_choices(front):
    assert 2 in [c.costs["gpu"] for c in knees(front)]
    assert by_weights(front, {"accuracy": 1, "gpu": 0}).accuracy == 0.9
    assert by_weights(front, {"accuracy": 0, "gpu": 1}).accuracy == 0.5
    assert nearest_to(front, {"accuracy": 0.8, "gpu": 2}).costs["gpu"] == 2
    assert one_more(front, "gpu", 1.0) == pytest.approx(0.3)
    assert one_more(front, "gpu", 5.0) == 0
    with pytest.raises(InputError, match="a weight is needed for each of accuracy, gpu"):
        by_weights(front, {"gpu": 1})
    with pytest.raises(InputError, match="above 0"):
        by_weights(front, {"accuracy": 0, "gpu": 0})


def test_comparison_is_fair_and_measures_distance():
    space, devices = SPACES["mobile-tiny"], [load_device("gpu")]
    table = compare(space, Synthetic(space), devices, ["memetic", "random"], 150, seeds=(0, 1))
    assert table["evaluations"].tolist() == [150] * 4
    mean = table.groupby("algorithm")[["share", "igd_plus", "coverage"]].mean()
    assert mean.loc["memetic", "share"] > mean.loc["random", "share"]
    assert mean.loc["memetic", "igd_plus"] < mean.loc["random", "igd_plus"]


def test_a_front_against_itself(front):
    assert against(front, front, front.reference) == {"share": 1, "igd_plus": 0, "coverage": 1}
    half = within(front, {"gpu": 2})
    assert against(half, front, front.reference)["coverage"] == 0.4
    assert len(union([half, front])) == 5
