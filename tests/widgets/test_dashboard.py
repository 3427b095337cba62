import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.plots import architecture_svg, front_figure, front_info
from explorer.plots.architecture import difference_svg
from explorer.plots.front import TRACES, Marks, Points
from explorer.widgets import Dashboard, DashboardState
from explorer.widgets.dashboard import study_of_page
from explorer.widgets.sentences import step_of, summary


@pytest.fixture
def page(digits_study):
    return Dashboard(digits_study)


def trace(page, name):
    return next(t for t in page.front.figure.data if t.name == name)


def test_chart_is_complete_before_it_is_shown(digits_study):
    info = front_info(digits_study, "mobile")
    figure = front_figure(info, Marks(digits_study.generate({"mobile": 0.15}), {"mobile": 0.15}))
    assert [t.name for t in figure.data] == list(TRACES)
    points = {t.name: len(t.x) for t in figure.data}
    assert points["evaluated"] == len(digits_study.evaluations)
    assert (points["budget"], points["generated"], points["picked"]) == (2, 1, 0)
    assert points["searched"] > 5


def test_another_generator_answers_the_same_budget(page):
    first, other = page.state.study.generators[:2]
    assert page.budgets.generator.value == page.state.candidate.generator == first
    page.budgets.generator.value = other
    assert page.state.candidate.generator == other
    assert page.state.candidate.costs["mobile"] <= page.state.budgets["mobile"]
    assert trace(page, "generated").x[0] == page.state.candidate.costs["mobile"]


def test_the_page_opens_at_the_knee_of_the_first_target(page, digits_study):
    assert page.state.budget == {"mobile": digits_study.knee("mobile")}
    assert trace(page, "budget").x[0] == pytest.approx(digits_study.knee("mobile"))
    assert page.budgets.rows["mobile"].on.value
    assert not page.budgets.rows["cpu"].on.value
    assert page.front.figure._config["showSendToCloud"] is False


def test_a_slider_moves_point_text_and_table(page, digits_study):
    low, high = digits_study.budget_range("mobile")
    seen = set()
    for value in np.geomspace(low, high, 6):
        page.budgets.rows["mobile"].slider.value = value
        assert page.state.candidate.costs["mobile"] <= value * (1 + 1e-9)
        assert trace(page, "generated").x[0] == page.state.candidate.costs["mobile"]
        assert page.state.candidate.key in page.network.text.value
        seen.add(page.state.candidate.key)
    assert len(seen) > 1


def test_slider_and_number_are_linked(page):
    row = page.budgets.rows["cpu"]
    row.number.value = 0.018
    assert 0.018 <= row.slider.value <= 0.018 * 1.02
    row.slider.value = row.low
    assert row.number.value == pytest.approx(row.low, rel=1e-3)
    assert page.state.budget["cpu"] == pytest.approx(row.low)


def test_what_a_browser_reports_back_is_no_move(page):
    row = page.budgets.rows["gpu"]
    page.budgets._moved("gpu", row.slider.value * (1 + 1e-9))
    page.budgets._moved("gpu", row.number.value)
    assert not row.on.value


def test_a_target_that_is_off_shows_the_networks_cost_and_binds_when_moved(page):
    state = page.state
    assert state.budgets["gpu"] == state.candidate.costs["gpu"]
    row = page.budgets.rows["gpu"]
    before = state.candidate.costs["gpu"]
    row.slider.value = max(state.range("gpu")[0], before * 0.97)
    assert row.on.value
    assert state.candidate.costs["gpu"] <= max(state.range("gpu")[0], before * 0.97) * (1 + 1e-9)
    row.on.value = False
    assert "gpu" not in state.budget


def test_another_device_in_the_chart(page, digits_study):
    page.front.device.value = "params_m"
    assert np.allclose(trace(page, "evaluated").x, digits_study.evaluations["params_m"])
    assert len(trace(page, "budget").x) == 0
    page.front.device.value = "mobile"
    assert len(trace(page, "budget").x) == 2


def test_export_in_the_background_gives_a_link(page, tmp_path):
    import base64
    import re

    import onnxruntime as ort

    page.panel("export").start().result(timeout=120)
    link = re.search(r'base64,([^"]+)"', page.panel("export").result.value)
    assert link, page.panel("export").result.value
    assert ort.InferenceSession(base64.b64decode(link[1])).get_inputs()[0].name == "images"
    assert not page.panel("export").button.disabled


def test_errors_are_said_in_plain_words(page, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret path /x")

    monkeypatch.setattr(page.state, "_generate", broken)
    page.budgets.rows["mobile"].slider.value *= 1.05
    assert "Something went wrong (RuntimeError)" in page.message.value
    assert "explorer/widgets/state.py:" in page.message.value.split("Details to copy")[1]
    assert "secret" not in page.message.value


def test_names_are_escaped(digits_study):
    from dataclasses import replace

    layers = list(digits_study.space.layers(np.zeros(10, int)))
    layers[0] = replace(layers[0], name="<script>")
    svg = architecture_svg(layers, np.full(len(layers), 1 / len(layers)), "<b>")
    assert "<script>" not in svg
    assert "<b>" not in svg


def test_state_needs_no_view(digits_study):
    state = DashboardState(digits_study)
    calls = []
    state.observe(lambda: calls.append(state.candidate.key))
    state.move("mobile", digits_study.budget_range("mobile")[0])
    assert calls
    assert state.candidate.costs["mobile"] == pytest.approx(digits_study.budget_range("mobile")[0])
    assert "Predicted accuracy" in summary(state)


def test_a_point_of_the_chart_becomes_the_network(page):
    key = trace(page, "front").text[2]
    page.front._clicked(trace(page, "front"), type("P", (), {"point_inds": [2]}), None)
    assert page.state.candidate.key == key
    assert key in page.network.text.value
    assert trace(page, "picked").text == (key,)
    assert trace(page, "generated").text[0] == page.state.generated.key
    assert "Picked from the chart" in page.status.value
    assert trace(page, "measured").y[0] == pytest.approx(100 * page.state.study.measured_accuracy[key])
    page.budgets.rows["mobile"].slider.value *= 0.95
    assert page.state.picked is None
    assert len(trace(page, "picked").x) == 0


def test_the_chart_can_be_drawn_in_other_ways(page, digits_study):
    page.front.log_scale.value = True
    assert page.front.figure.layout.xaxis.type == "log"
    page.front.searched.value = False
    assert trace(page, "searched").visible is False
    page.front.generated.value = True
    assert len(trace(page, "generated front").x) > 5
    page.front.every.value = True
    small = page.front.small.children[0]
    assert len(small.data) == len(TRACES) * len(digits_study.main_targets)
    page.budgets.rows["mobile"].slider.value *= 0.9
    stars = [t for t in small.data if t.name == "generated"]
    assert [t.x[0] for t in stars] == [page.state.candidate.costs[name] for name in digits_study.main_targets]
    page.front.every.value = False
    assert page.front.small.children == ()


def test_up_to_four_networks_are_compared(page, digits_study):
    keys = list(dict.fromkeys(digits_study.front("mobile")["key"]))
    for key in keys[:2]:
        page.state.pick(key)
        page.network.pin.click()
    assert [p.key for p in page.state.pins] == keys[:2]
    assert trace(page, "pinned").text == ("1", "2")
    table = page.panel("compare").table.value
    assert all(key in table for key in keys[:2])
    assert "class=differs" in table
    assert "blocks differ" in page.panel("compare").picture.value
    for key in keys[2:4]:
        page.state.pick(key)
        page.network.pin.click()
    page.state.pick(keys[4])
    page.network.pin.disabled = False
    page.network.pin.click()
    assert "4 networks are pinned already" in page.message.value
    unpin(page, 1)
    assert [p.key for p in page.state.pins] == keys[1:4]


def unpin(page, number):
    """Press the button that unpins a network."""
    row = page.panel("compare").pins.children[number - 1]
    next(child for child in row.children if getattr(child, "description", "") == f"Unpin {number}").click()


def test_pins_have_names_and_notes_that_a_link_keeps(page, digits_study):
    keys = list(digits_study.front("mobile")["key"])[:2]
    for key in keys:
        page.state.pick(key)
        page.network.pin.click()
    row = page.panel("compare").pins.children[1]
    row.children[0].value, row.children[1].value = "the <b>phone", "what marketing & sales asked for"
    assert "the &lt;b&gt;phone: <code>" in page.panel("compare").table.value
    assert "the &lt;b&gt;phone</text>" in page.panel("compare").picture.value
    assert trace(page, "pinned").text == ("1", "2")
    again = Dashboard(digits_study, page.state.query)
    assert again.state.texts == {keys[1]: ("the <b>phone", "what marketing & sales asked for")}
    assert again.panel("compare").pins.children[1].children[0].value == "the <b>phone"
    again.state.call(keys[0], "x" * 100, "y" * 1000)
    assert [len(text) for text in again.state.texts[keys[0]]] == [40, 300]
    unpin(page, 2)
    assert page.state.texts == {}
    assert "name-" not in page.state.query


def test_changes_can_be_undone_and_a_drag_is_one_of_them(page, digits_study):
    state = page.state
    assert page.undo.disabled
    assert page.redo.disabled
    low, high = state.range("mobile")
    before = state.query
    for value in np.geomspace(low, high, 7):  # a drag
        page.budgets.rows["mobile"].slider.value = value
    page.network.pin.click()
    page.undo.click()
    assert state.pins == []
    assert state.budget["mobile"] == pytest.approx(high, rel=0.02)
    page.undo.click()
    assert state.query == before
    assert page.undo.disabled
    assert trace(page, "generated").text == (digits_study.generate({"mobile": digits_study.knee("mobile")}).key,)
    page.redo.click()
    page.redo.click()
    assert len(state.pins) == 1
    assert page.redo.disabled
    page.undo.click()
    state.look(log=True)
    assert page.redo.disabled, "a new change ends what could be redone"


def test_networks_along_the_front_are_marked_and_taken(page):
    keys = [c.key for c in page.gallery._networks]
    costs = [c.costs["mobile"] for c in page.gallery._networks]
    assert len(set(keys)) == len(keys) > 3
    assert costs == sorted(costs)
    assert all(f'data-key="{key}"' in page.gallery.cards.html for key in keys)
    page.gallery.cards.receive({"pointed": keys[0]})
    assert trace(page, "hinted").x == (costs[0],)
    assert page.state.picked is None
    page.gallery.cards.receive({"pointed": ""})
    assert trace(page, "hinted").x == ()
    page.gallery.cards.receive({"taken": keys[-1]})
    assert page.state.picked.key == keys[-1]
    assert page.gallery.cards.html.count('aria-pressed="true"') == 1
    page.gallery.cards.receive({"taken": "nobody"})
    page.gallery.cards.receive({"taken": 5})
    assert page.state.picked.key == keys[-1]
    page.state.show("params_m")  # no slider: networks of the evaluated front
    assert [c.costs["params_m"] for c in page.gallery._networks] == sorted(
        c.costs["params_m"] for c in page.gallery._networks
    )


def test_one_row_per_target_with_what_its_winner_costs_elsewhere(page, digits_study):
    low, high = page.state.range("cpu")
    page.state.move("cpu", low)
    page.state.switch("cpu", False)
    table = page.panel("targets").table
    for target in digits_study.main_targets:
        winner = digits_study.generate({target: page.state.budgets[target]})
        assert f'data-key="{winner.key}" aria-label="Take the winner on {target}"' in table.html
    page.state.move("cpu", low)
    assert table.html.count("class=over") > 0, "the winner on another target breaks the tightest budget"
    winner = digits_study.generate({"mobile": page.state.budgets["mobile"]})
    table.receive({"taken": winner.key})
    assert page.state.candidate.key == winner.key


def test_ranges_on_axes_find_networks_and_set_budgets(page, digits_study):
    axes, state = page.panel("axes"), page.state
    low, high = state.range("mobile")
    middle = (low + high) / 2
    axes._brushed("mobile", [low * 1.1, middle])
    assert state.budget["mobile"] == pytest.approx(middle)
    found = state.axes_info.values[state.found]
    column = state.axes.index("mobile")
    assert len(found)
    assert found[:, column].min() >= low * 1.1 * (1 - 1e-9)
    assert found[:, column].max() <= middle * (1 + 1e-9)
    assert len(trace(page, "found").x) == len(found)
    assert "within 1 range" in axes.said.value
    best = float(found[:, state.axes.index("accuracy")].max())
    least, most = axes.fields["accuracy"]
    least.receive({"typed": f"{best - 0.2:.4g}"})
    assert state.ranges["accuracy"] == (least.value, np.inf)
    assert (state.axes_info.accuracy[state.found] >= least.value).all()
    key = axes.table.html.split('data-key="')[1].split('"')[0]
    axes.table.receive({"taken": key})
    assert state.candidate.key == key
    again = Dashboard(digits_study, state.query)
    assert again.state.ranges == state.ranges
    state.move("mobile", low * 1.2)
    assert state.ranges["mobile"] == (low * 1.1, low * 1.2), "the range follows the slider"
    least.receive({"typed": "99.99"})
    assert "this is the nearest one" in axes.said.value
    axes.clear.click()
    assert state.ranges == {}
    assert len(trace(page, "found").x) == 0


def test_panels_are_made_when_their_tab_is_opened(page):
    assert list(page.tabs._made) == ["compare"]
    page.tabs.show("export")
    assert list(page.tabs._made) == ["compare", "export"]


def test_the_knee_and_what_more_time_buys(page):
    page.budgets.rows["mobile"].slider.value = page.state.range("mobile")[0]
    assert "buys" in page.budgets.more.value
    assert "costs 0.00 (" in page.budgets.more.value  # at the end of the slider less is not for sale
    page.budgets.knee.click()
    assert page.state.budget["mobile"] == page.state.study.knee("mobile")


def test_a_link_restores_the_page(page, digits_study):
    page.budgets.rows["cpu"].slider.value *= 0.9
    page.front.log_scale.value = True
    page.state.pin()
    page.state.pick(digits_study.front("mobile")["key"].iloc[1])
    again = Dashboard(digits_study, page.state.query)
    assert again.state.query == page.state.query
    assert again.state.candidate.key == page.state.candidate.key
    assert again.front.log_scale.value
    assert page.state.query.replace("&", "&amp;") in page.link.value


def test_every_link_opens_the_network_that_was_seen(digits_study):
    """The budget goes into a link with all its digits: rounded down at the slider's end it opened another network."""
    state = DashboardState(digits_study)
    for target in digits_study.main_targets:
        low, high = state.range(target)
        for value in [*np.geomspace(low, high, 50), low, high]:
            state.move(target, float(min(max(value, low), high)))
            again = DashboardState(digits_study)
            again.restore(state.query)
            assert (again.candidate.key, again.budget) == (state.candidate.key, state.budget)
        state.switch(target, on=False)


@pytest.mark.parametrize(("typed", "value", "note"), [
    ("0,02", 0.02, ""), (" 0.02 ms", 0.02, ""), (",02", 0.02, ""), ("2e-2", 0.02, ""),
    ("99", None, "99 ms is above the range"), ("0,0001", None, "0.0001 ms is below the range"),
    ("1.234,5", None, "'1.234,5' is not a number"), ("fast", None, "'fast' is not a number"), ("", None, "not a number"),
    ("nan", None, "not a number"), ("0,3,4", None, "not a number"), ("1e999", None, "not a number"),
])  # fmt: skip
def test_numbers_are_typed_with_comma_or_point_and_changes_are_said(page, typed, value, note):
    row = page.budgets.rows["cpu"]
    page.state.move("cpu", 0.018)
    row.number.receive({"typed": typed})
    assert note in row.number.note
    assert bool(note) == bool(row.number.note)
    if "range" in note:
        assert f"range {row.low:.4g} to {row.high:.4g} ms: set to" in row.number.note
        value = row.low if "below" in note else row.high
    assert page.state.budget["cpu"] == pytest.approx(value or 0.018)
    assert float(row.number.shown) == pytest.approx(page.state.budget["cpu"], rel=1e-3)
    if note:
        row.slider.value = row.low * 1.5
        assert row.number.note == "", "the next move takes the note away"


def test_arrow_keys_step_within_the_range(page):
    field = page.panel("export").tuning
    field.receive({"steps": 1})
    field.receive({"steps": 10})
    assert field.value == 11
    field.receive({"steps": 10})
    assert (field.value, field.note) == (20, "")
    field.receive({"typed": "2,5"})
    assert (field.value, field.note) == (2, "2.5 is not a whole number: set to 2")


def test_a_predictor_that_cannot_rank_says_so(tmp_path, capsys):
    """One class dominates, and all networks are measured alike: page, card and command warn."""
    import json
    import shutil

    import onnx

    from explorer.cli.main import run
    from explorer.core.files import data_folder, sha256
    from explorer.study import open_study
    from explorer.study.card import study_card

    study = shutil.copytree(data_folder("studies") / "digits", tmp_path / "flat")
    said = {(0.004, 0.03): "hardly ranks networks: Kendall's tau 0.03", (0.00001, 0.9): "same accuracy (band ±0.00%)"}
    for (width, tau), words in said.items():
        model = onnx.load(str(study / "predictor.onnx"))
        (entry,) = [p for p in model.metadata_props if p.key == "quality"]
        entry.value = json.dumps(json.loads(entry.value) | {"half_width": width, "kendall_tau": tau})
        onnx.save(model, str(study / "predictor.onnx"))
        manifest = json.loads((study / "study.json").read_text())
        manifest["files"]["predictor.onnx"] = sha256(study / "predictor.onnx")
        (study / "study.json").write_text(json.dumps(manifest))
        assert words in Dashboard(study).title.value.replace("&#x27;", "'")
        for command in (["generate", str(study), "--budget", "cpu=1", "--json"], ["search", str(study), "--json",
                                                                                  "--evaluations", "50"]):  # fmt: skip
            assert run(command) == 0
            captured = capsys.readouterr()
            json.loads(captured.out)
            assert words in captured.err
        opened = open_study(study)
        generators = [(opened.generator(), 0.9)]
        card = study_card(
            opened.manifest, list(opened.devices.values()), opened.scored, opened.predictor, generators, []
        )
        assert words in card
    assert open_study("digits").predictor.warning == ""


@pytest.mark.parametrize(("query", "said"), [
    ("budget-mobile=fast", "expected a number above 0"), ("budget-phone=1", "unknown target"),
    ("generator=best", "unknown generator"), ("picked=zzz", "zzz"), ("chart=fridge", "unknown chart"),
])  # fmt: skip
def test_a_bad_link_is_said_and_the_page_opens(digits_study, query, said):
    page = Dashboard(digits_study, query)
    assert said in page.message.value
    assert len(trace(page, "generated").x) == 1


def test_measuring_runs_beside_the_page_and_is_shown(page):
    key = page.state.candidate.key
    page.network.measure.start("latency").result(timeout=120)
    page.network.measure.start("accuracy").result(timeout=120)
    known = page.state.study.evaluate([page.state.candidate.architecture])[0]
    assert page.state.accuracy_of(key) == pytest.approx(known)
    assert "ms +-" in page.state.measured[key]["latency"]
    assert "measured, onnxruntime" in page.network.figures.value
    assert not page.network.measure.accuracy.disabled


def test_a_job_can_be_cancelled(page):
    done = page.network.measure.start("accuracy")
    assert page.network.measure.accuracy.disabled
    page.network.measure.cancel.click()
    done.result(timeout=30)
    assert "Cancelled" in page.network.measure.result.value
    assert "accuracy" not in page.state.measured.get(page.state.candidate.key, {})
    assert not page.network.measure.accuracy.disabled


def test_a_large_cloud_is_thinned_where_points_cover_one_another():
    rng = np.random.default_rng(0)
    cost, accuracy = rng.gamma(4, 1, 10_000), rng.normal(90, 1, 10_000)
    points = Points(cost, accuracy, [str(i) for i in range(10_000)], cost[:, None])
    drawn = points.thinned(2000)
    assert 1000 < len(drawn.keys) <= 2000
    rows = np.array([int(key) for key in drawn.keys])
    assert (drawn.cost == cost[rows]).all()
    assert (drawn.accuracy == accuracy[rows]).all()
    assert drawn.accuracy.max() == accuracy.max()
    assert points.thinned(10_000) is points
    far = np.abs(cost[:, None] - drawn.cost) / np.ptp(cost) + np.abs(accuracy[:, None] - drawn.accuracy) / np.ptp(
        accuracy
    )
    assert far.min(1).max() < 0.05, "every network lies close to one that is drawn"


def test_a_difference_names_the_blocks(digits_study):
    space = digits_study.space
    small, large = (space.layers(np.full(len(space.decisions), i)) for i in (0, 1))
    assert "0 of" in difference_svg(small, small, ("1", "2"))
    said = difference_svg(small, large, ("1", "2"))
    assert "stroke-dasharray" in said or "blocks differ: " in said


def test_another_study_can_be_chosen(page):
    names = [value for _, value in page.studies.options]
    assert {"digits", "fashion-mnist", "imagenet-mobilenetv3"} <= set(names)
    page.studies.value = "fashion-mnist"
    assert page.state.study.name == "fashion-mnist"
    assert len(trace(page, "evaluated").x) == len(page.state.study.evaluations)
    assert "fashion-mnist" in page.link.value


def test_ones_own_studies_are_renamed_and_deleted(digits_study, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))
    shutil.copytree(digits_study.folder, tmp_path / "studies" / "mine")
    page = Dashboard("mine")
    own = page.own
    own.refresh()
    own.name.value = "bad/name"
    own.rename.click()
    assert "use letters, digits" in page.message.value
    own.name.value = "better"
    own.rename.click()
    assert [value for _, value in page.studies.options if value in ("mine", "better")] == ["better"]
    assert page.state.study.folder == tmp_path / "studies" / "better", "the open study went on under its new name"
    assert Dashboard("better").state.study.name == "better"
    own.delete.click()
    assert (tmp_path / "studies" / "better").exists(), "it asks first"
    own.sure.value = True
    own.delete.click()
    assert not (tmp_path / "studies" / "better").exists()
    assert page.state.study.name == "clothing", "a shipped study is shown where the open one is deleted"


def test_the_links_of_a_study_opened_by_its_folder_lead_back(digits_study, tmp_path, monkeypatch):
    import shutil

    shutil.copytree(digits_study.folder, tmp_path / "elsewhere")
    monkeypatch.setenv("EXPLORER_STUDY", str(tmp_path / "elsewhere"))
    page = Dashboard(str(tmp_path / "elsewhere"))
    assert study_of_page(page.state.query) == str(tmp_path / "elsewhere")
    assert study_of_page("study=fashion-mnist") == "fashion-mnist"


def test_a_pruned_family_is_measured_and_has_weights_of_its_own():
    from explorer.page.publish import published_data

    page = Dashboard("fashion-mnist-pruned")
    assert "individually trained weights" in page.network.figures.value
    assert "inherited" not in page.network.figures.value
    assert "source" not in page.panel("export").formats
    data = published_data(page.state.study)
    assert data["accuracy_is"] == "measured"
    assert data["weights_are"] == "individually trained weights"


@pytest.mark.parametrize(
    ("low", "high", "step"), [(1, 9, 1), (0.1, 0.2, 0.01), (0.2, 0.9, 0.05), (3, 3.3, 0.02), (2, 2.1, 0.01)]
)
def test_a_step_is_a_round_number_at_any_range(low, high, step):
    assert step_of(low, high) == step


class Partial:
    """A device that has a price for the networks with one depth only."""

    name, unit = "partial", "ms"

    def cost(self, space, codes):
        return np.where(codes[:, 0] == 0, 1.0 + codes.sum(1), np.nan)


def test_a_device_without_a_price_for_some_networks_has_a_slider(digits_study):
    study = digits_study.with_device(Partial(), retrain=False)
    page = Dashboard(study)
    page.state.show("partial")
    for value in np.linspace(*study.budget_range("partial"), 5):
        page.state.move("partial", value)
        assert page.state.candidate.costs["partial"] <= value + 1e-9
    page.state.switch("partial", on=False)
    assert np.isfinite(page.state.candidate.costs["partial"]), "what is shown has all its costs"
    drawn = len(trace(page, "evaluated").x)
    assert 0 < drawn == study.evaluations["partial"].notna().sum() < len(study.evaluations)
    missing = study.evaluations["key"][study.evaluations["partial"].isna()].iloc[0]
    with pytest.raises(InputError, match=f"network {missing} has no cost on device 'partial'"):
        page.state.pick(missing)


def test_it_can_be_asked_for_an_accuracy(fashion_study):
    page = Dashboard(fashion_study)
    budgets, state = page.budgets, page.state
    assert budgets.wish.layout.display == "none"
    budgets.asking.value = True
    assert state.least == pytest.approx(state.candidate.accuracy, abs=2e-4)
    budgets.least.type("93,2 %")
    assert budgets.wish.layout.display == ""
    assert state.candidate == fashion_study.cheapest(0.932, "mobile", generator=state.generator)
    assert "at least 93.20%" in budgets.more.value
    budgets.cheapest.value = "gpu"
    budgets.rows["cpu"].slider.value = 0.04
    assert state.candidate.costs["cpu"] <= state.budgets["cpu"]
    assert set(state.budget) == {"cpu"}  # neither the device that is asked on, nor the one that was before
    again = Dashboard(fashion_study, state.query)
    assert again.state.candidate == state.candidate
    assert again.state.query == state.query
    budgets.least.type("99")
    assert "Accuracy 99.00% is not reachable within cpu 0.04" in page.status.value
    assert " ms; the most accurate" in page.status.value
    budgets.least.type("93")
    budgets.asking.value = False
    assert set(state.budget) == {"cpu", "gpu"}
    assert state.budgets["gpu"] == state.candidate.costs["gpu"]
    budgets.asking.value = True
    state.move("mobile", 0.5)  # its own slider asks for a budget again
    assert state.least is None
    assert not budgets.asking.value
    assert state.candidate == fashion_study.generate(state.budget, state.generator)
    for bad in ("least=2", "least=x", "least=0.9&cheapest=toaster"):
        assert "could not be followed" in Dashboard(fashion_study, bad).message.value
