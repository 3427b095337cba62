import numpy as np
import pytest

from explorer.plots import architecture_svg, front_figure, front_info
from explorer.widgets import Dashboard, DashboardState


@pytest.fixture
def page(digits_study):
    return Dashboard(digits_study)


def trace(page, name):
    return next(t for t in page.front.figure.data if t.name == name)


def test_chart_is_complete_before_it_is_shown(digits_study):
    info = front_info(digits_study, "mobile")
    figure = front_figure(info, 0.15, digits_study.generate({"mobile": 0.15}))
    assert [t.name for t in figure.data] == ["evaluated", "front", "searched", "budget", "generated"]
    assert len(figure.data[0].x) == len(digits_study.evaluations)
    assert [len(figure.data[i].x) for i in (3, 4)] == [2, 1]
    assert len(figure.data[2].x) > 5


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
        assert page.state.candidate.key in page.architecture.text.value
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

    page.export.start().result(timeout=120)
    link = re.search(r'base64,([^"]+)"', page.export.result.value)
    assert link, page.export.result.value
    assert ort.InferenceSession(base64.b64decode(link[1])).get_inputs()[0].name == "images"
    assert not page.export.button.disabled


def test_errors_are_said_in_plain_words(page, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("secret path /x")

    monkeypatch.setattr(page.state.study, "generate", broken)
    page.budgets.rows["mobile"].slider.value *= 1.05
    assert "Something went wrong (RuntimeError)" in page.message.value
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
    assert "Predicted accuracy" in state.summary()
