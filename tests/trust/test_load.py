"""Visitors of the served page: short forms of `tests.trust.load`; the long ones are marked."""

import pytest

from tests.trust.load import crowd, leak


def _held(found, sessions):
    assert not found["errors"]
    assert found["missed"] == 0
    assert found["kernels_left"] == 0
    assert found["moves"] >= 3 * sessions
    assert found["p50_ms"] < 2000


@pytest.mark.browser
def test_three_tabs_move_at_once_and_their_kernels_end():
    _held(crowd(3, 8), 3)


def test_no_kernel_is_left_by_visitors_who_go():
    found = leak(8)
    assert found["kernels_left"] == 0
    assert found["server_mb"][1] < found["server_mb"][0] + 15


@pytest.mark.long
@pytest.mark.browser
@pytest.mark.timeout(1200)
def test_twenty_tabs_move_for_two_minutes():
    _held(crowd(20, 120), 20)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_hundred_visitors_leave_nothing():
    found = leak(200)
    assert found["kernels_left"] == 0
    assert found["mb_per_session"] < 0.2
