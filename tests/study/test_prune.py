import json

import numpy as np
import pytest

import explorer as ex
from explorer.cli import run
from explorer.core.errors import InputError
from explorer.evaluators import Scored, Table
from explorer.plots import cells_figure, describe, pruning_cells, pruning_rounds, rounds_figure
from explorer.pruning import PruneConfig
from explorer.spaces import TableSpace
from explorer.study.prune import FamilyConfig, prune, share_of
from explorer.supernets import TrainConfig
from explorer.testing import check_device, check_evaluator, check_generator, check_space
from explorer.widgets.sentences import summary

TINY = FamilyConfig(
    width=4, nodes=1, search=PruneConfig(sizes=(1.0, 0.5, 0.3), warmup=3, rounds=1, steps=3, batch=32),
    training=TrainConfig(batch=32, lr=0.05), steps=33,
)  # fmt: skip


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    return prune("digits", tmp_path_factory.mktemp("family") / "out", target="30%", config=TINY)


def test_a_family_is_a_study(family):
    assert family.space.name == "table"
    assert list(family.space.decisions["network"]) == ["100%", "50%", "30%"]
    assert family.targets == ["params_m", "mobile", "cpu", "gpu"]
    again = ex.open_study(family.folder)
    sizes = again.devices["params_m"].cost(again.space, again.space.enumerate())
    assert (np.diff(sizes) < 0).all()
    budget = 1.2 * sizes[1]  # holds the second and the third
    found = again.generate({"params_m": budget})
    assert found.feasible
    assert found.costs["params_m"] <= budget
    assert found.accuracy == again.scored.accuracy[1:].max()
    assert not again.generate({"params_m": 0.5 * sizes[-1]}).feasible
    measured = again.evaluate([found.architecture])[0]
    assert measured == pytest.approx(found.accuracy, abs=0.02)  # batch norm is calibrated on other images
    assert not (family.folder / ".pruning").exists()
    about = json.loads((family.folder / "pruning.json").read_text())
    for row, share in zip(about["networks"], (1.0, 0.5, 0.3)):
        assert row["params"] == pytest.approx(share * about["networks"][0]["params"], rel=0.05)
    card = (family.folder / "README.md").read_text()
    assert "no time" in card
    assert "measured" in card


def test_its_parts_conform(family):
    check_space(family.space)
    for device in family.devices.values():
        check_device(device, family.space)
    check_evaluator(family.predictor, family.space)
    check_generator(family.generator(), family.space, list(family.devices.values()))
    few = Table(family.space, Scored(family.space.enumerate()[:1], np.array([0.5]), np.array(["sample"])), 10)
    with pytest.raises(InputError, match="was not measured"):
        few.evaluate([[1]])


def test_its_pictures_say_what_went(family):
    rounds, cells = pruning_rounds(family), pruning_cells(family)
    assert rounds["size"].is_monotonic_decreasing
    assert rounds[["operation", "filter", "weight"]].to_numpy().min() > 0
    lines = {trace.name: list(trace.y) for trace in rounds_figure(rounds).data}
    assert lines["operation"] == rounds["operation"].tolist()
    bars = {trace.name: list(trace.y) for trace in cells_figure(cells, "30%").data}
    assert set(bars) == {"operation", "filter", "weight"}
    assert len(bars["filter"]) == 3
    whole = cells[cells["network"] == "100%"]
    assert (whole[["operation", "filter", "weight"]] == 1).all(axis=None)
    assert " x conv" in describe(family.space.layers([0]))  # too many blocks to be named one by one


def test_the_page_opens_on_its_size(family):
    page = ex.Dashboard(family)
    assert page.state.chart == "params_m"
    assert list(page.state.budget) == ["params_m"]
    low, high = family.budget_range("params_m")
    page.state.move("params_m", low)
    assert page.state.candidate.architecture.values["network"] == "30%"
    page.state.move("params_m", high)
    assert page.state.candidate.costs["params_m"] <= high * 1.001
    assert "Measured accuracy" in summary(page.state)


def test_it_is_exported_and_checked(family, tmp_path):
    smallest = family.generate({"params_m": 1.01 * family.budget_range("params_m")[0]})
    bundle = ex.export(family, smallest, tmp_path / "out")
    assert bundle.check["same_top1"] == 1


def test_it_goes_on_where_it_stopped(tmp_path):
    class _Stop(Exception):
        pass

    def stopping(items, total, what):
        for i, item in enumerate(items):
            if what == "training" and i == 2:
                raise _Stop
            yield item

    with pytest.raises(_Stop):
        prune("digits", tmp_path / "a", target="30%", config=TINY, progress=stopping)
    with pytest.raises(InputError, match="--resume"):
        prune("digits", tmp_path / "a", target="30%", config=TINY)
    with pytest.raises(InputError, match="another recipe"):
        prune("digits", tmp_path / "a", target="40%", config=TINY, resume=True)
    made = prune("digits", tmp_path / "a", target="30%", config=TINY, resume=True)
    whole = prune("digits", tmp_path / "b", target="30%", config=TINY)
    assert made.manifest.files == whole.manifest.files


def test_targets(capsys, tmp_path):
    assert share_of("25%", 400_000) == 0.25
    assert share_of("0.2M", 400_000) == 0.5
    assert share_of("100k", 400_000) == 0.25
    for text in ("0", "0%", "120%", "9M", "-1k", "small", "", "nan"):
        with pytest.raises(InputError, match="expected a number of parameters"):
            share_of(text, 400_000)
    assert run(["prune", "digits", "--quick", "--target-params", "0.01%", "--out", str(tmp_path / "x")]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "the smallest possible size is" in said[0]
    assert not (tmp_path / "x").exists()
    assert run(["prune", "digits", "--target-params", "0", "--out", str(tmp_path / "x")]) == 2
    assert "expected a number" in capsys.readouterr().err


def test_a_table_that_is_none_is_refused(family):
    good = family.space.to_json()
    assert TableSpace.from_json(good, "test").to_json() == good

    def bent(change):
        copy = json.loads(json.dumps(good))
        change(copy["networks"][0]["layers"])
        return copy

    spoiled = [
        {"networks": []}, {"networks": good["networks"] * 2}, {}, [], bent(lambda x: x.clear()),
        bent(lambda x: x[3].update(inputs=["nobody"])), bent(lambda x: x[2].update(name=x[1]["name"])),
        bent(lambda x: x[3].update(layer="conv 4-99999999 8px k1 s1 none")), bent(lambda x: x[1].update(layer="what?")),
        bent(lambda x: x.pop(0)), bent(lambda x: x[-1].update(inputs=[])),
    ]  # fmt: skip
    for values in spoiled:
        with pytest.raises(InputError):
            TableSpace.from_json(values, "test")
