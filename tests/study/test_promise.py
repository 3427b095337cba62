"""The promise of a budget, on every generator that ships: more never buys less, and four ways to ask give one answer."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from explorer.cli.main import app
from explorer.study import open_study
from explorer.study.opening import study_names
from explorer.widgets.state import DashboardState

PAIRS, BUDGETS = 2000, 200
SHIPPED = [(name, generator) for name in study_names() for generator in open_study(name).generators]


@cache
def study(name):
    return open_study(name)


def nested(devices, ranges, n, rng):
    """(n, m) tight limits on random devices, the lowest a little below the reachable range, and (n, m) looser ones."""
    low, high = np.log(np.array([ranges[name] for name in devices])).T
    tight = np.exp(low - 0.02 + (high - low) * rng.random((n, len(devices))))
    tight[rng.random(tight.shape) < 0.4] = np.nan
    tight[np.arange(n), rng.integers(0, len(devices), n)] = np.exp(low + (high - low) * rng.random())[0]
    loose = tight * np.exp(rng.random(tight.shape) * rng.choice([0.001, 0.05, 1.0], (n, 1)))
    return tight, np.where(rng.random(tight.shape) < 0.1, np.nan, loose)


@pytest.mark.parametrize(("name", "generator"), SHIPPED)
def test_a_larger_budget_never_gets_a_less_accurate_network(name, generator):
    own, rng = study(name), np.random.default_rng(11)
    chosen = own.generator(generator)
    for target in dict.fromkeys([*own.main_targets, own.targets[-1]]):
        budgets = np.geomspace(*own.budget_range(target), BUDGETS)
        made = own.generate_many(pd.DataFrame({target: rng.permutation(budgets)}), generator)
        by_cost = sorted(zip([c.costs[target] for c in made], [c.accuracy for c in made]))
        accuracy = [c.accuracy for c in own.generate_many(pd.DataFrame({target: budgets}), generator)]
        assert (np.diff(accuracy) >= 0).all()
        assert sorted(accuracy) == sorted(a for _, a in by_cost)  # another order of calls, the same networks
    ranges = {name: own.budget_range(name) for name in own.devices}
    sums = [name for name, device in own.devices.items() if device.additive]  # the nearest is found slowly on others
    columns = [list(own.devices).index(name) for name in sums]
    tight, loose = (np.full((PAIRS, len(own.devices)), np.nan) for _ in range(2))
    tight[:, columns], loose[:, columns] = nested(sums, ranges, PAIRS, rng)
    first, second = chosen.select(tight), chosen.select(loose)
    kept = first.feasible
    assert kept.mean() > 0.5
    assert second.feasible[kept].all()
    assert (second.accuracy[kept] >= first.accuracy[kept]).all()


@pytest.mark.parametrize(("name", "generator"), SHIPPED)
def test_four_ways_to_ask_give_one_answer(name, generator):
    own, rng = study(name), np.random.default_rng(12)
    ranges = {target: own.budget_range(target) for target in own.main_targets}
    low, high = np.log(np.array(list(ranges.values()))).T
    table = pd.DataFrame(np.exp(low + (high - low) * rng.random((60, len(ranges)))), columns=list(ranges))
    table[rng.random(table.shape) < 0.4] = np.nan
    many = own.generate_many(table, generator)
    state = DashboardState(own)
    state.use(generator)
    for row, candidate in zip(table.to_dict("records"), many):
        budget = {device: value for device, value in row.items() if not np.isnan(value)}
        assert own.generate(budget, generator) == candidate
        for target in ranges:
            state.switch(target, target in budget)
        for device, value in budget.items():
            state.move(device, value)
        assert state.generated.architecture == candidate.architecture


@pytest.mark.parametrize("name", ["digits", "imagenet-mobilenetv3"])
def test_the_command_gives_the_same_network(name):
    own = study(name)
    for share in (0.1, 0.5):
        low, high = own.budget_range(own.targets[0])
        budget = {own.targets[0]: low + share * (high - low)}
        said = CliRunner().invoke(
            app, ["generate", name, "--json", "--budget", *(f"{d}={v!r}" for d, v in budget.items())]
        )
        assert json.loads(said.stdout)["architecture"] == own.generate(budget).architecture.key
