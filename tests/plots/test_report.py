import json
import re

import pytest

from explorer.core.errors import InputError
from explorer.plots.report import BUDGETS, report_data, write_report
from tests.browser.pages import chart, chromium


def test_every_answer_keeps_its_budget_and_has_a_drawing(digits_study):
    data = report_data(digits_study)
    assert list(data["targets"]) == list(digits_study.targets)
    for name, target in data["targets"].items():
        assert len(target["answers"]) == BUDGETS
        for answer in target["answers"]:
            cost = digits_study.predict([digits_study.architecture(answer["key"])])[name].iloc[0]
            assert cost <= answer["budget"] * (1 + 1e-9)
            assert "<svg" in data["networks"][answer["key"]]["drawings"][name]


def test_nothing_is_fetched_and_nothing_from_outside_is_markup(digits_study, tmp_path, monkeypatch):
    evil = '<script>alert(1)</script>%%CARD%%"</script>'
    monkeypatch.setattr(digits_study, "manifest", digits_study.manifest.model_copy(update={"title": evil}))
    page = write_report(digits_study, tmp_path / "new" / "x.html").read_text()
    assert "<script>alert" not in page
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # plotly's own code names addresses
    assert not re.search(r"(src|href)=", outside)
    assert "http" not in outside.replace("http-equiv", "").split("<details>")[0]
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert data["networks"]


def test_bad_generators_and_places_are_named(digits_study, tmp_path):
    with pytest.raises(InputError, match="nobody"):
        write_report(digits_study, tmp_path, "nobody")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(digits_study, tmp_path / "file" / "x.html")


def test_the_command(command, tmp_path):
    done = command("report", "digits", "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["file"] == str(tmp_path / "digits-report.html")


@pytest.mark.browser
def test_a_report_in_a_browser(fashion_study, tmp_path):
    path, said = write_report(fashion_study, tmp_path), []
    with chromium() as browser:
        page = browser.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_selector(".js-plotly-plot .main-svg")
        for target in fashion_study.targets:
            page.select_option("#target", target)
            before, words = chart(page), page.inner_text("#words")
            assert before["evaluated"]["n"] == len(fashion_study.evaluations)
            page.locator("#budget").focus()
            for _ in range(15):
                page.keyboard.press("ArrowRight")
            after = chart(page)
            assert after["generated"]["y"][0] > before["generated"]["y"][0]
            assert after["generated"]["x"][0] <= after["budget"]["x"][0]
            assert page.inner_text("#words") != words
    assert said == []
