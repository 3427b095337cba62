"""A study in eight bits: measured, predicted, generated, and shown."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import explorer as ex
from explorer.core.errors import InputError
from explorer.devices.boards import BOARDS
from explorer.evaluators import Predictor, Scored
from explorer.evaluators.lowered import Change, fit_change
from explorer.study.add_device import add_device
from explorer.study.eight_bits import networks_to_measure
from explorer.testing import check_evaluator, check_generator
from explorer.widgets import Dashboard
from explorer.widgets.job import JobRow
from explorer.widgets.sentences import summary


@pytest.fixture(scope="module")
def lowered(tmp_path_factory, command):
    """The shipped digits with 56 networks in eight bits, made by the command."""
    out = tmp_path_factory.mktemp("int8") / "digits"
    found = json.loads(command("quantise", "digits", "--out", out, "--networks", "60", "--json").stdout)
    assert found["targets"] == ["mobile", "cpu", "gpu", "cpu-int8", "ram_kb", "flash_kb"]
    assert found["networks"] == found["quality"]["held_out"] >= 20
    return ex.open_study(out)


@pytest.fixture
def predictor(digits_study):
    return digits_study.predictor


def scored(codes, accuracy):
    """Measured networks, every fourth of them on a front."""
    return Scored(codes, accuracy, np.array([("front" if i % 4 == 0 else "sample") for i in range(len(codes))]))


def test_a_known_change_is_found(predictor, rng):
    """Accuracies that fall by what two decisions say are predicted, with a band that covers new ones."""
    space = predictor.space
    codes, new = (np.unique(space.sample(n, rng), axis=0) for n in (90, 400))

    def measured(rows):
        full = predictor.evaluate(rows) + rng.normal(0, 0.002, len(rows))
        return full, full - 0.01 - 0.02 * (rows[:, 0] == 1) + rng.normal(0, 0.001, len(rows))

    full, low = measured(codes)
    change = fit_change(predictor, scored(codes, low), full)
    in_eight = change.added(predictor)
    check_evaluator(in_eight, space)
    expected = predictor.evaluate(new) - 0.01 - 0.02 * (new[:, 0] == 1)
    print(change.quality, np.abs(in_eight.evaluate(new) - expected).mean())
    assert np.abs(in_eight.evaluate(new) - expected).mean() < 0.001
    assert change.quality["drop_mae"] < 0.002
    _, fresh = measured(new)
    low_end, high_end = in_eight.interval(in_eight.evaluate(new))
    assert 0.8 < ((low_end <= fresh) & (fresh <= high_end)).mean() < 0.98


def test_noise_alone_leaves_the_mean(predictor, rng):
    codes = np.unique(predictor.space.sample(60, rng), axis=0)
    full = predictor.evaluate(codes)
    change = fit_change(predictor, scored(codes, full - 0.01 + rng.normal(0, 1e-4, len(codes))), full)
    assert np.allclose(change.added(predictor).evaluate(codes), full - 0.01, atol=2e-4)


def test_a_change_is_of_one_space(predictor, fashion_study, tmp_path):
    codes = predictor.space.sample(30, np.random.default_rng(0))
    change = fit_change(predictor, scored(codes, np.full(30, 0.9)), np.full(30, 0.9))
    change.save(tmp_path / "change.json")
    assert Change.open(tmp_path / "change.json") == change
    with pytest.raises(InputError, match="weights; expected"):
        change.added(fashion_study.predictor)
    with pytest.raises(InputError, match="at least 20"):
        fit_change(predictor, scored(codes[:5], np.ones(5)), np.ones(5))
    for bad in ({"constant": 7}, {"weights": "x"}, {"quality": {"half_width": None}}, {"quality": {"mae": 0.1}}):
        (tmp_path / "bad.json").write_text(json.dumps(change.model_dump() | bad))
        with pytest.raises(InputError, match=r"bad\.json"):
            Change.open(tmp_path / "bad.json")


def test_networks_to_measure_are_new_to_the_predictor(digits_study):
    study = digits_study
    table = study.searched("mobile")
    front = np.array([study.architecture(key).choices for key in table["key"]], np.int8)
    chosen = networks_to_measure(study.space, study.scored, [front], 60, 0)
    known = {row.tobytes() for row in study.scored.codes[study.scored.source == "sample"]}
    assert not known & {row.tobytes() for codes in chosen.values() for row in codes}
    assert set(chosen) == {"sample", "front"}
    again = networks_to_measure(study.space, study.scored, [front], 60, 0)
    assert all((again[name] == codes).all() for name, codes in chosen.items())


def test_one_study_in_two_precisions(lowered, digits_study):
    eight = lowered.in_precision("int8")
    assert lowered.precisions == ("fp32", "int8")
    assert lowered.precision == "fp32"
    assert eight.in_precision("fp32").predictor.quality == lowered.predictor.quality
    assert lowered.main_targets == ["mobile", "cpu", "gpu"]
    assert eight.main_targets == ["cpu-int8", "ram_kb", "flash_kb"]
    assert (lowered.scored.codes == digits_study.scored.codes).all()
    measured = eight.evaluate(eight.scored.codes[:2])
    assert np.allclose(measured, eight.scored.accuracy[:2], atol=1e-6)  # the same numbers as when it was made
    assert isinstance(eight.predictor, Predictor)
    for name in eight.generators:
        check_generator(eight.generator(name), eight.space, list(eight.devices.values()))


def test_budgets_in_eight_bits(lowered, command):
    budget = {"ram_kb": 3.0, "cpu-int8": 0.05}
    c = lowered.generate(budget, precision="int8")
    assert c.feasible
    assert c.precision == "int8"
    assert all(c.costs[name] <= limit for name, limit in budget.items())
    eight = lowered.in_precision("int8")
    assert c.accuracy == eight.predict([c.architecture]).iloc[0]["accuracy"]
    assert eight.generate_many(pd.DataFrame([budget]))[0] == c
    words = ["--budget", "ram_kb=3", "--budget", "cpu-int8=0.05", "--precision", "int8"]
    found = json.loads(command("generate", lowered.folder, *words, "--json").stdout)
    assert found["architecture"] == c.key
    assert found["precision"] == "int8"
    said = command("generate", lowered.folder, *words).stdout
    assert "in eight bits" in said
    assert "mobile, cpu, gpu: of the network in float32" in said
    assert lowered.generate({"mobile": 0.2}).precision == "fp32"


def test_fronts_and_searches_in_eight_bits(lowered):
    eight = lowered.in_precision("int8")
    front = eight.searched("ram_kb")
    assert (np.diff(front["predicted"]) > 0).all()
    assert (np.diff(front["ram_kb"]) > 0).all()
    assert eight.search(evaluations=300).devices == ("cpu-int8", "ram_kb", "flash_kb")
    low, high = eight.budget_range("flash_kb")
    assert low < eight.knee("flash_kb") <= high
    wider = eight.with_device(ex.load_device("i7=i7-8700k"))
    assert wider.precision == "int8"
    assert "i7" in wider.devices


def test_what_has_no_eight_bits_says_so(quick_study, digits_study, tmp_path, command):
    with pytest.raises(InputError, match=r"explorer quantise /.*/quick --out DIR"):
        quick_study.generate({"mobile": 0.2}, precision="int8")
    with pytest.raises(InputError, match="choose from: fp32, int8"):
        digits_study.in_precision("int4")
    for name, why in (("imagenet-mobilenetv3", "has no weights"), ("fashion-mnist-pruned", "no form in eight bits")):
        done = command("quantise", name, "--out", tmp_path / "x")
        assert done.returncode == 2
        assert why in done.stderr
        assert not (tmp_path / "x").exists()


def test_the_card_tells(lowered):
    card = (lowered.folder / "README.md").read_text()
    quality = lowered.in_precision("int8").predictor.quality
    assert f"{quality['held_out']:.0f} networks were measured with eight-bit" in card
    assert f"tau {quality['kendall_tau']:.3f} ({quality['float_tau']:.3f})" in card
    share = np.mean(lowered.in_precision("int8").scored.source == "front")
    assert f"{share:.0%} of them lie on searched fronts" in card


def test_nothing_is_made_from_the_accuracies_of_a_view(lowered, tmp_path):
    """A study with one more device, made from the view in eight bits, is the one made from the study."""
    eight, device = lowered.in_precision("int8"), ex.load_device("i7=i7-8700k")
    assert eight.in_precision("fp32") is lowered
    assert eight.measured is lowered.measured
    made = add_device(eight, device, tmp_path / "wider")
    assert (made.scored.accuracy == lowered.scored.accuracy).all()
    assert f"tau {lowered.predictor.quality['kendall_tau']:.3f}" in (made.folder / "README.md").read_text()
    assert eight.with_device(device).in_precision("fp32").predictor.quality == lowered.predictor.quality


def test_the_page_measures_and_exports_what_it_shows(lowered, monkeypatch):
    """In eight bits, the float32 network was timed and evaluated, and shown beside accuracies in eight."""
    started = []
    monkeypatch.setattr(JobRow, "run", lambda self, arguments, done: started.append(arguments))
    for precision in ("fp32", "int8"):
        page = Dashboard(lowered.in_precision(precision))
        page.network.measure.start("accuracy")
        page.network.measure.start("latency")
        page.panel("export").start()
        assert {words[words.index("--precision") + 1] for words in started} == {precision}
        assert page.panel("export").formats["int8"].value == (precision == "int8")
        started.clear()


def test_an_export_in_eight_bits_has_the_file(lowered, tmp_path):
    network = lowered.generate({"ram_kb": 3.0}, precision="int8")
    made = ex.export(lowered, network, tmp_path / "out")
    assert set(made.files) >= {"onnx", "int8"}
    assert (
        "accuracy of the trained architecture, predicted in eight bits"
        in next((tmp_path / "out").glob("*.md")).read_text()
    )


def test_links_that_this_view_cannot_follow(lowered):
    for query in ("board=pico", "board=toaster&precision=int8", "precision=int4"):
        page = Dashboard(lowered, query)
        assert "could not be followed" in page.message.value
        assert page.state.board == ""


def test_a_damaged_change_is_named(lowered, tmp_path):
    copied = tmp_path / "digits"
    shutil.copytree(lowered.folder, copied)
    (copied / "change-int8.json").write_text("{}")
    with pytest.raises(InputError, match=r"change-int8\.json was changed"):
        ex.open_study(copied)


def test_the_page_in_eight_bits(lowered, quick_study):
    page = Dashboard(lowered)
    assert page.precision.layout.display == ""
    assert set(page.budgets.rows) == {"mobile", "cpu", "gpu"}
    page.precision.value = "int8"
    assert set(page.budgets.rows) == {"cpu-int8", "ram_kb", "flash_kb"}
    assert page.state.candidate.precision == "int8"
    assert "accuracy in eight bits" in page.status.value
    page.budgets.board.value = "pico"
    assert page.state.budget | BOARDS["pico"].budget == page.state.budget
    again = Dashboard(lowered, page.state.query)
    assert again.state.query == page.state.query
    assert again.budgets.board.value == "pico"
    page.state.move("ram_kb", 3.0)
    assert page.budgets.board.value == ""
    assert page.state.board == ""
    page.precision.value = "fp32"
    assert page.state.candidate.precision == "fp32"
    assert Dashboard(quick_study).precision.layout.display == "none"


def test_a_board_that_nothing_fits_says_what_is_missing(lowered, request):
    tiny = BOARDS["pico"].__class__("tiny", "A tiny board", "core", 1, 49.0, 129.0, "nowhere")
    BOARDS.register("tiny", tiny)
    request.addfinalizer(lambda: BOARDS.forget("tiny"))
    state = Dashboard(lowered.in_precision("int8")).state
    state.bound("tiny")
    assert "lacks" in summary(state)
    assert "bytes of RAM" in summary(state)
