"""A slider for another device, on the page."""

import json
from datetime import datetime

import pytest

from explorer.devices import device_json, load_device, renamed
from explorer.widgets import Dashboard


@pytest.fixture
def page():
    shown = Dashboard("imagenet-mobilenetv3")
    shown.device.refresh()  # as when it is opened
    return shown


def upload(page, name, content):
    file = {"name": name, "content": content, "type": "", "size": len(content), "last_modified": datetime(2026, 1, 1)}
    page.device.upload.value = (file,)


def test_a_known_device_has_a_slider_at_once(page):
    before = set(page.budgets.rows)
    assert not before & set(page.device.known.options)
    page.device.known.value = "v100-1"
    page.device.add.click()
    assert set(page.budgets.rows) == before | {"v100-1"}
    assert page.state.chart == "v100-1"
    assert page.state.budget == {"v100-1": page.state.study.knee("v100-1")}
    assert page.state.candidate.costs["v100-1"] <= page.state.budget["v100-1"]
    assert "v100-1" not in page.device.known.options
    assert "explorer device add" in page.device.about.value
    low, high = page.state.range("v100-1")
    page.budgets.rows["v100-1"].slider.value = low + 0.1 * (high - low)
    assert low <= page.state.candidate.costs["v100-1"] <= low + 0.1 * (high - low) + 1e-9


def test_a_device_file_has_a_slider_and_a_bad_one_a_message(page):
    mine = json.dumps(device_json(renamed(load_device("titan-rtx-1"), "mine"))).encode()
    upload(page, "mine.json", mine)
    assert 'role="alert"' not in page.device.about.value
    assert "mine" in page.budgets.rows
    for name, content, said in (
        ("mine.json", mine, "already"),
        ("bad.json", b"{}", "bad.json: kind"),
        ("nonsense.json", b"\xff\x00", "nonsense.json"),
        ("count.json", b'{"format": 1, "kind": "counts"}', "count.json"),
    ):
        upload(page, name, content)
        assert said in page.device.about.value, page.device.about.value
        assert "/tmp" not in page.device.about.value
        assert "mine" in page.budgets.rows


def test_another_study_has_its_own_sliders(page):
    page.device.known.value = "v100-64"
    page.device.add.click()
    page.show_study("digits")
    page.device.refresh()
    assert "v100-64" not in page.budgets.rows
    assert "v100-64" in page.device.known.options


def test_only_devices_with_a_cost_are_offered():
    shown = Dashboard("clothing")
    shown.device.refresh()
    assert "cpu-2-threads" not in shown.device.known.options  # its table has no photographs' blocks
    assert "v100-1" in shown.device.known.options
