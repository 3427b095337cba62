"""Killed at random moments: the short form of `tests.trust.kills` (training has a test in tests/test_pipeline.py)."""

import random

import pytest

from tests.trust.kills import jobs, main, run_killed


@pytest.mark.parametrize("kind", ["search", "pruning", "export"])
def test_it_goes_on_to_the_same_files(kind, quick_recipe, tmp_path):
    found = run_killed(kind, jobs(quick_recipe)[kind], 2, random.Random(kind), tmp_path)
    assert found["kills"] == 2
    assert found["wrong"] == []


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_fifty_kills():
    for row in main(50, 20261127, None):
        assert row["wrong"] == [], row
