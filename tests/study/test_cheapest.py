"""The other question: the cheapest network that is accurate enough, with the same promise as budgets."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import explorer as ex
from explorer.core.errors import InputError
from explorer.devices.population import costs_of


def test_what_it_gives_is_accurate_enough_and_never_costlier_for_less(fashion_study):
    study = fashion_study
    for device in study.main_targets:
        found = [study.cheapest(accuracy, device) for accuracy in np.linspace(0.9, 0.95, 26)]
        reached = [c.feasible for c in found]
        assert reached == sorted(reached, reverse=True)
        assert not reached[-1]
        costs = [c.costs[device] for c in found if c.feasible]
        assert len(costs) > 10
        assert costs == sorted(costs)
        assert all(c.accuracy >= a for a, c in zip(np.linspace(0.9, 0.95, 26), found) if c.feasible)


def test_it_is_the_cheapest_of_a_large_sample(fashion_study, rng):
    study = fashion_study
    codes = study.space.sample(20_000, rng)
    accuracy, cost = study.predictor.evaluate(codes), study.devices["mobile"].cost(study.space, codes)
    for share in (0.2, 0.5, 0.8, 0.99):
        least = float(np.quantile(accuracy, share))
        assert study.cheapest(least, "mobile").costs["mobile"] <= cost[accuracy >= least].min() * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.85, 0.95), st.floats(0.05, 1), st.floats(0.05, 1))
def test_limits_hold_and_larger_ones_never_cost_more(accuracy, tight, loose):
    study = ex.open_study("fashion-mnist")
    low, high = study.budget_range("cpu")
    limits = [low * (high / low) ** share for share in sorted((tight, loose))]
    small, large = (study.cheapest(accuracy, "mobile", {"cpu": limit}) for limit in limits)
    for c, limit in zip((small, large), limits):
        assert c.costs["cpu"] <= limit
        assert c.feasible == (c.accuracy >= accuracy)
    if small.feasible:
        assert large.feasible
        assert large.costs["mobile"] <= small.costs["mobile"]


def test_in_an_enumerable_space_it_is_the_cheapest_of_all():
    study = ex.open_study("fashion-mnist-pruned")
    codes = study.space.enumerate()
    accuracy, costs = study.predictor.evaluate(codes), costs_of(study.space, [study.devices["cpu"]], codes)[:, 0]
    for least in np.sort(accuracy):
        assert study.cheapest(float(least), "cpu").costs["cpu"] == pytest.approx(costs[accuracy >= least].min())


def test_what_is_not_reachable_is_the_most_accurate(fashion_study):
    best = fashion_study.cheapest(1.0, "mobile")
    assert not best.feasible
    assert best.accuracy >= max(c.accuracy for c in fashion_study.generated_front("mobile"))
    nothing = fashion_study.cheapest(0.5, "mobile", {"cpu": 1e-6})
    assert not nothing.feasible
    assert "cpu" in fashion_study.unreached_line(0.5, nothing, {"cpu": 1e-6})


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan"), "much", None, True, 93])
def test_an_accuracy_is_a_share(fashion_study, bad):
    with pytest.raises(InputError, match=r"expected a share from 0 to 1, such as 0\.93"):
        fashion_study.cheapest(bad, "mobile")


def test_unknown_names_are_refused(fashion_study):
    for wrong in ({"device": "toaster"}, {"limits": {"toaster": 1}}):
        with pytest.raises(InputError, match="unknown target 'toaster'"):
            fashion_study.cheapest(0.9, **wrong)
    with pytest.raises(InputError, match="expected a number of ms above 0"):
        fashion_study.cheapest(0.9, "mobile", {"cpu": -1})


def test_the_command(fashion_study, command):
    line = ["generate", "fashion-mnist", "--accuracy", "0.93", "--device", "cpu"]
    found = json.loads(command(*line, "--json").stdout)
    assert found["architecture"] == fashion_study.cheapest(0.93, "cpu").key
    limited = json.loads(command(*line, "--budget", "mobile=0.3", "--json").stdout)
    assert limited["costs"]["mobile"] <= 0.3
    missed = command("generate", "fashion-mnist", "--accuracy", "0.99")
    assert missed.returncode == 2
    assert missed.stderr.startswith("explorer: accuracy 99.00% is not reachable; the most accurate network there has 9")
    for wrong in (["--accuracy", "93"], ["--device", "cpu"], ["--accuracy", "0.9", "--device", "toaster"]):
        done = command("generate", "fashion-mnist", *wrong)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
