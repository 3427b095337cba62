"""Killed at random moments: the short form of `tests.trust.kills` (training: tests/study/test_train.py; searches
and prunings that are stopped: tests/searches, tests/study/test_prune.py)."""

import random

import pytest

from tests.trust.kills import jobs, main, run_killed


def test_an_export_goes_on_to_the_same_files(quick_recipe, tmp_path):
    found = run_killed("export", jobs(quick_recipe)["export"], 1, random.Random(0), tmp_path)
    assert found["kills"] == 1
    assert found["wrong"] == []


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_fifty_kills():
    for row in main(50, 20261127, None):
        assert row["wrong"] == [], row
