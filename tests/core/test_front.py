import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core.front import hypervolume, kendall_tau, nondominated


def test_hypervolume_of_a_known_pair():
    assert hypervolume(1 - np.array([24, 20]), np.array([[10.0], [20.0]]), (25, 100)) == 410


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20)), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_nondominated_is_what_brute_force_says(points):
    accuracy, cost = np.array(points, float).T
    accuracy /= 20
    rows = nondominated(accuracy, cost[:, None])
    beaten = [
        any((a >= accuracy[i]) and (c <= cost[i]) and (a > accuracy[i] or c < cost[i]) for a, c in zip(accuracy, cost))
        for i in range(len(points))
    ]
    assert {(accuracy[i], cost[i]) for i in rows} == {
        (accuracy[i], cost[i]) for i in range(len(points)) if not beaten[i]
    }
    assert (np.diff(cost[rows]) > 0).all()


def test_kendall_tau():
    assert kendall_tau(np.arange(5), np.arange(5)) == 1
    assert kendall_tau(np.arange(5), -np.arange(5)) == -1
    assert kendall_tau(np.ones(5), np.arange(5)) == 0
    assert kendall_tau([-np.inf, -np.inf, 0, 1], [0, 0, 1, 2]) == 1  # a score that gives up on some networks
