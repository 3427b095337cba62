import json
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.devices import CountDevice
from explorer.evaluators import append_scores, read_scores
from explorer.study import open_study, study_names
from explorer.study.add_device import answered, gains
from explorer.testing import check_evaluator, check_generator, check_space
from tests.conftest import ROOT


def test_shipped_studies_are_small():
    """They are in the wheel; weights are most of them."""
    for name in study_names():
        size = sum(f.stat().st_size for f in open_study(name).folder.rglob("*"))
        assert size <= (12e6 if name == "clothing" else 10e6), (name, size)


def test_shipped_studies_conform():
    for name in ("digits", "fashion-mnist"):
        assert name in study_names()
        study = open_study(name)
        check_space(study.space)
        check_evaluator(study.predictor, study.space)
        for generator in study.generators:
            check_generator(study.generator(generator), study.space, list(study.devices.values()))
        assert {"mobile", "cpu", "gpu", "macs_m", "params_m"} <= set(study.devices)


def test_a_study_tells_what_it_knows(digits_study):
    table = digits_study.evaluations
    assert list(table.columns) == ["key", "accuracy", "source", *digits_study.devices]
    assert len(set(table["key"])) == len(table)
    for name in digits_study.devices:
        front = digits_study.front(name)
        assert (np.diff(front[name]) > 0).all()
        assert (np.diff(front["accuracy"]) > 0).all()
        low, high = digits_study.budget_range(name)
        assert low < digits_study.knee(name) <= high
        assert low <= table[name].min() + 1e-12


def test_predictions_have_a_band(digits_study, rng):
    codes = digits_study.space.sample(5, rng)
    table = digits_study.predict([Architecture(digits_study.space, row) for row in codes])
    assert list(table.columns) == ["accuracy", "lo", "hi", *digits_study.devices]
    assert (table["lo"] < table["accuracy"]).all()
    assert (table["accuracy"] <= table["hi"]).all()


@given(share=st.floats(0, 1), target=st.sampled_from(["mobile", "cpu", "gpu", "macs_m", "params_m"]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_reachable_budget_is_met(digits_study, share, target):
    low, high = digits_study.budget_range(target)
    budget = low * (high / low) ** share
    candidate = digits_study.generate({target: budget})
    assert candidate.feasible
    assert candidate.costs[target] <= budget
    assert candidate.interval[0] <= candidate.accuracy <= candidate.interval[1]
    assert digits_study.generate({target: budget}).key == candidate.key


def test_joint_budgets_are_met(digits_study, rng):
    base = digits_study.evaluations.sample(50, random_state=0)
    limits = base[["mobile", "cpu", "gpu"]].mul(1.02).reset_index(drop=True)
    limits.loc[::2, "gpu"] = np.nan
    for row, candidate in zip(limits.to_dict("records"), digits_study.generate_many(limits)):
        assert candidate.feasible
        assert all(np.isnan(v) or candidate.costs[n] <= v for n, v in row.items())


def test_below_the_range_the_nearest_network_comes_back(digits_study):
    low, _ = digits_study.budget_range("cpu")
    candidate = digits_study.generate({"cpu": low / 2})
    assert not candidate.feasible
    assert candidate.costs["cpu"] == pytest.approx(low)
    assert "nearest reachable" in digits_study.nearest_line({"cpu": low / 2}, candidate)


def test_above_the_range_the_network_is_feasible(digits_study):
    assert digits_study.generate({"mobile": 1e6}).feasible
    assert digits_study.generate({}).feasible


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "5", None, True])
def test_bad_budgets_are_refused(digits_study, value):
    with pytest.raises(InputError, match="budget mobile"):
        digits_study.generate({"mobile": value})
    with pytest.raises(InputError, match="unknown target 'phone'; choose from: mobile, cpu, gpu"):
        digits_study.generate({"phone": 1.0})


def test_a_number_says_how_it_was_obtained(digits_study):
    pruned = open_study("fashion-mnist-pruned")
    for study, word in ((digits_study, "predicted"), (pruned, "measured")):
        device = study.targets[0]
        made = study.generate({device: study.budget_range(device)[1]})
        assert made.source == study.candidate(made.architecture).source == word
        assert {c.source for c in study.search(devices=[device], evaluations=50)} == {word}
        assert study.generated_front(device, budgets=3).source == word


def test_one_more_device(digits_study):
    device = CountDevice("macs_m")
    device.name = "joules"
    wider = digits_study.with_device(device)
    assert "joules" in wider.generator("expert").code.devices  # asked about it by its description
    assert wider.generator("pnag").code.devices == digits_study.generator("pnag").code.devices
    said = (
        "Networks of expert are made for joules by its prices; those of pnag are made for other devices and chosen by the costs "
        "on joules."
    )
    assert answered(wider, "joules") == said
    low, high = wider.budget_range("joules")
    candidate = wider.generate({"joules": (low + high) / 2})
    assert candidate.feasible
    assert candidate.costs["joules"] <= (low + high) / 2
    with pytest.raises(InputError, match="already"):
        wider.with_device(device)


def test_one_more_device_is_learned(quick_study):
    device = CountDevice("macs_m")
    device.name = "joules"
    wider = quick_study.with_device(device, retrain=True)
    assert wider.targets == quick_study.targets
    assert all("joules" in wider.generator(name).code.devices for name in wider.generators)
    assert wider.generate({"joules": wider.budget_range("joules")[1]}).feasible
    assert quick_study.generators == wider.generators
    other = CountDevice("macs_m")
    other.name = "watts"
    assert "joules" in wider.with_device(other).generator("pnag").code.devices  # what was learned is kept
    gained = gains(quick_study, device, wider)
    assert list(gained) == quick_study.generators
    assert all(-0.5 < share < 0.5 for share in gained.values())


def test_what_a_training_cost_is_compared(digits_study):
    """Evaluations of a training are its own and those of the fronts that it imitated: of three targets and of them together."""
    table = digits_study.compare_generators("mobile", 20).set_index("generator")
    for name in digits_study.generators:
        own = digits_study.generator(name).about["evaluations"]
        assert table["evaluations"][name] == own + 4 * digits_study.recipe.search.evaluations
    assert (table["met"] == 1).all()


def test_search_on_a_study(digits_study):
    front = digits_study.search("memetic", ["mobile"], evaluations=1000)
    assert len(front) > 3
    assert all(set(c.costs) == {"mobile"} for c in front)


@pytest.mark.parametrize("damage", ["manifest", "missing", "changed", "format", "escape", "foreign"])
def test_damaged_studies_are_refused(digits_study, damage, tmp_path):
    folder = tmp_path / "s"
    shutil.copytree(digits_study.folder, folder)
    manifest = json.loads((folder / "study.json").read_text())
    if damage == "manifest":
        (folder / "study.json").write_text('{"format": 1,')
    elif damage == "missing":
        (folder / "predictor.onnx").unlink()
    elif damage == "changed":
        (folder / "evaluations.csv").write_text("key,accuracy,source\n")
    else:
        if damage == "format":
            manifest["format"] = 99
        elif damage == "escape":
            manifest["files"]["../../etc/passwd"] = "0"
        else:
            del manifest["files"]["predictor.onnx"]
        (folder / "study.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError):
        open_study(folder)


def test_unknown_studies(tmp_path):
    with pytest.raises(InputError, match="unknown study 'nope'"):
        open_study("nope")
    with pytest.raises(InputError, match="unknown study"):
        open_study(tmp_path)


class _Counting:
    def __init__(self):
        self.calls = 0

    def evaluate(self, codes):
        self.calls += len(codes)
        return np.full(len(codes), 0.5)


def test_scores_are_a_cache_and_survive_a_cut_line(digits_study, tmp_path, rng):
    space, path = digits_study.space, tmp_path / "evaluations.csv"
    codes = np.unique(space.sample(10, rng), axis=0)
    evaluator = _Counting()
    append_scores(path, space, codes, evaluator, "sample")
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    append_scores(path, space, codes, evaluator, "sample")
    assert path.read_bytes() == whole
    assert evaluator.calls == len(codes) + 1
    assert len(read_scores(path, space).codes) == len(codes)
    path.write_text("key,accuracy,source\nnonsense,1,x\n")
    with pytest.raises(InputError, match="line 2"):
        read_scores(path, space)


def test_generate_many_takes_a_table_with_gaps(digits_study):
    table = pd.DataFrame({"mobile": [0.15, np.nan], "cpu": [np.nan, 0.02]})
    first, second = digits_study.generate_many(table)
    assert first.costs["mobile"] <= 0.15
    assert second.costs["cpu"] <= 0.02


@pytest.mark.parametrize("name", [p.name for p in sorted((ROOT / "data" / "studies").iterdir())])
def test_every_generator_of_every_shipped_study_conforms(name):
    study = open_study(ROOT / "data" / "studies" / name)
    assert study.generators
    for generator in study.generators:
        check_generator(study.generator(generator), study.space, list(study.devices.values()))
        for target in study.targets:
            low, high = study.budget_range(target)
            assert study.generate({target: high}, generator).feasible
            assert not study.generate({target: 0.9 * low}, generator).feasible


def test_a_study_of_ones_own_is_called_as_it_is_opened(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))
    shutil.copytree(open_study("digits").folder, tmp_path / "studies" / "mine")
    assert open_study("mine").name == "mine"
    assert open_study(open_study("mine").name).folder == tmp_path / "studies" / "mine"
