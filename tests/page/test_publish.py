"""A study as a page without a server: its data, its files, and its answers in a real browser against Python's."""

import base64
import gzip
import html
import json
import re

import numpy as np
import pandas as pd
import pytest

import explorer as ex
from explorer.core.errors import InputError
from explorer.devices.population import costs_of, overshoot
from explorer.page.publish import publish, published_data, write_report
from tests.browser.pages import chart, chromium, errors_of


def unpacked(text):
    """What is packed into a string."""
    return json.loads(gzip.decompress(base64.b64decode(text)))


def data_of(page):
    """What the page's script reads."""
    return unpacked(page.split('id="data">')[1].split("</script>")[0])


def budgets_for(study, n, seed=0):
    """Budgets of one to three targets around the costs of random networks; some cannot be met."""
    rng, names = np.random.default_rng(seed), study.main_targets
    costs = costs_of(study.space, [study.devices[name] for name in names], study.space.sample(n, rng))
    free = rng.random(costs.shape) < 0.4
    free[np.arange(n), rng.integers(0, len(names), n)] = False
    return pd.DataFrame(np.where(free, np.nan, costs * rng.uniform(0.7, 1.4, costs.shape)), columns=names)


def test_the_page_holds_the_pool(digits_study):
    data = published_data(digits_study)
    assert list(data["views"]) == list(digits_study.precisions)
    for precision, view in data["views"].items():
        study = digits_study.in_precision(precision)
        pool = study.generator().pool
        assert view["pool"] == len(pool)
        assert view["accuracy"][: len(pool)] == pool.accuracy.tolist()
        assert view["targets"] == study.main_targets
        assert {len(view[what]) for what in ("keys", "costs", "lo", "hi", "words", "measured")} == {
            len(view["accuracy"])
        }
        table = study.predict([study.architecture(key) for key in view["keys"][::20]])
        assert np.allclose(table["accuracy"], view["accuracy"][::20])
        assert np.allclose(table[[d["name"] for d in view["devices"]]], view["costs"][::20])
        drawings = [drawing for sheet in view["drawings"] for drawing in unpacked(sheet)]
        assert len(drawings) == len(view["keys"])
        assert all("<svg" in drawing for drawing in drawings)


def test_nothing_is_fetched_and_nothing_from_outside_is_markup(digits_study, tmp_path, monkeypatch):
    evil = '<script>alert(1)</script>%%CARD%%"</script>'
    monkeypatch.setattr(digits_study, "manifest", digits_study.manifest.model_copy(update={"title": evil}))
    page = write_report(digits_study, tmp_path / "new" / "x.html").read_text()
    assert "<script>alert" not in page
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)  # plotly's own code names addresses
    assert re.findall(r'(?:src|href)="([^"]*)"', outside) == ["#"]
    assert "http" not in outside.replace("http-equiv", "").split("<details>")[0]
    assert data_of(page)["title"] == evil


def test_a_folder_has_all_it_needs(digits_study, tmp_path):
    page = publish(digits_study, tmp_path / "site")
    assert {path.name for path in page.parent.iterdir()} == {"index.html", "plotly.min.js", "NOTICE.txt"}
    assert re.findall(r'src="([^"]*)"', page.read_text().split("<script>")[0]) == ["plotly.min.js"]
    assert "plotly.js" in (page.parent / "NOTICE.txt").read_text()
    assert "MIT" in (page.parent / "plotly.min.js").read_text()[:300]
    assert page.stat().st_size < 5e6
    with pytest.raises(InputError, match="not empty"):
        publish(digits_study, tmp_path / "site")


def test_bad_generators_and_places_are_named(digits_study, tmp_path):
    with pytest.raises(InputError, match="nobody"):
        write_report(digits_study, tmp_path, "nobody")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        write_report(digits_study, tmp_path / "file" / "x.html")


def test_the_commands(command, tmp_path):
    done = command("report", "digits", "--out", tmp_path, "--json")
    assert json.loads(done.stdout)["file"] == str(tmp_path / "digits-report.html")
    done = command("publish", "digits", "--out", tmp_path / "site", "--json")
    assert json.loads(done.stdout)["file"] == str(tmp_path / "site" / "index.html")
    again = command("publish", "digits", "--out", tmp_path / "site")
    assert again.returncode == 2
    assert len(again.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


def opened_page(browser, path, said, **how):
    """The page, as soon as it answers."""
    page = browser.new_page(**how)
    errors_of(page, said)
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready=true]")
    return page


@pytest.mark.browser
@pytest.mark.parametrize("name", [
    "fashion-mnist", "fashion-mnist-pruned",
    *(pytest.param(name, marks=pytest.mark.long) for name in ("clothing", "imagenet-mobilenetv3")),
])  # fmt: skip
def test_a_browser_gives_the_networks_of_python(browser, name, tmp_path):
    study, said = ex.open_study(name), []
    page = opened_page(browser, publish(study, tmp_path / "site"), said)
    for precision in study.precisions:
        view = study.in_precision(precision)
        budgets = budgets_for(view, 2000)
        asked = [row.dropna().to_dict() for _, row in budgets.iterrows()]
        made = view.generate_many(budgets)
        got = page.evaluate(
            "([rows, p]) => rows.map(row => explorer.generate(row, {precision: p}))", [asked, precision]
        )
        same = np.array([m.key == g["architecture"] for m, g in zip(made, got)])
        print(name, precision, same.mean(), np.mean([m.feasible for m in made]))
        assert same.mean() >= 0.995
        for row, python, answer, equal in zip(asked, made, got, same):
            assert answer["feasible"] == python.feasible
            assert not answer["feasible"] or all(answer["costs"][device] <= limit for device, limit in row.items())
            if equal:
                assert answer["accuracy"] == pytest.approx(python.accuracy, abs=1e-4)
                assert answer["interval"] == pytest.approx(python.interval, abs=1e-4)
            else:  # as near, though another network
                limits = np.array(list(row.values()))
                here, there = (np.array([c[device] for device in row]) for c in (answer["costs"], python.costs))
                assert overshoot(here, limits) <= overshoot(there, limits) * 1.02
        device, low = view.main_targets[0], float(np.median([m.accuracy for m in made]))
        for least in (low, low - 0.01, 1.0):
            answer = page.evaluate(
                "([a, d, p]) => explorer.cheapest(a, d, {}, {precision: p})", [least, device, precision]
            )
            assert answer["architecture"] == view.cheapest(least, device).key
    assert said == []


@pytest.mark.browser
def test_wrong_requests_are_errors(browser, digits_study, tmp_path):
    page = opened_page(browser, publish(digits_study, tmp_path / "site"), [])

    def error(call):
        return page.evaluate(f"() => {{ try {{ {call}; return ''; }} catch (e) {{ return e.message; }} }}")

    assert "unknown target 'toaster'; choose from: mobile, cpu" in error("explorer.generate({toaster: 1})")
    for bad in ("-1", "0", "NaN", "'5'", "null", "Infinity"):
        assert "expected a number of ms above 0" in error(f"explorer.generate({{mobile: {bad}}})")
    assert "expected a share from 0 to 1" in error("explorer.cheapest(93, 'mobile')")
    assert "unknown precision 'int4'; choose from: fp32, int8" in error("explorer.generate({}, {precision: 'int4'})")
    assert error("explorer.generate({})") == ""


@pytest.mark.browser
def test_a_report_in_a_browser(browser, fashion_study, tmp_path):
    said, published = [], published_data(fashion_study)["views"]["fp32"]
    page = opened_page(browser, write_report(fashion_study, tmp_path), said)
    for target in fashion_study.main_targets:
        page.select_option("#target", target)
        slider = page.get_by_label(f"budget on {target}")
        slider.fill("200")
        before, words = chart(page), page.inner_text("#key")
        assert before["evaluated"]["n"] == len(fashion_study.evaluations)
        slider.focus()
        for _ in range(60):
            page.keyboard.press("ArrowRight")
        after = chart(page)
        assert after["generated"]["y"][0] > before["generated"]["y"][0]
        assert after["generated"]["x"][0] <= after["budget"]["x"][0] * (1 + 1e-9)
        assert page.inner_text("#key") != words
    assert page.locator("#rows input:checked").count() == 3  # joint budgets
    assert chart(page)["band"]["n"] > 10
    page.get_by_label("error band").uncheck()
    assert page.evaluate("document.querySelector('.js-plotly-plot').data.find(t => t.name === 'band').visible") is False
    cards = page.locator("#gallery button")
    assert cards.count() >= 5
    for card in (cards.nth(2), cards.last):  # a small drawing's network is taken
        card.click()
        row = published["keys"].index(card.get_attribute("value"))
        drawn = unpacked(published["drawings"][row // 64])[row % 64]
        page.wait_for_function("words => document.querySelector('#drawing svg').getAttribute('aria-label') === words",
                               arg=html.unescape(re.search('aria-label="(.*?)"', drawn)[1]))  # fmt: skip
        assert page.inner_text("#key") == card.get_attribute("value")
        assert card.get_attribute("aria-pressed") == "true"
    page.click("#pin")
    page.get_by_label("name of network 1").fill("<b>for the gate</b>")
    page.keyboard.press("Tab")
    assert chart(page)["pinned"]["n"] == 1
    assert "name-0=%3Cb%3Efor" in page.get_attribute("#link", "href")
    page.get_by_role("button", name="eight bits").click()
    assert page.locator("#rows .row").count() == 3
    assert page.locator("#pins td").count() == 0
    page.get_by_role("button", name="float32").click()
    assert page.locator("#pins td").count() > 0
    page.get_by_role("button", name="eight bits").click()
    page.select_option("#board select", "Raspberry Pi Pico")
    assert "216" in page.inner_text("#costs")
    page.click("#pin")
    link = page.get_attribute("#link", "href")
    again = opened_page(browser, tmp_path / "fashion-mnist-report.html", said)
    again.goto(again.url + link)
    again.reload()
    again.wait_for_selector("html[data-ready=true]")
    assert again.inner_text("#key") == page.inner_text("#key")
    assert again.inner_text("#pins") == page.inner_text("#pins")
    assert again.get_by_label("name of network 1").input_value() == page.get_by_label("name of network 1").input_value()
    assert again.get_attribute("#link", "href") == link
    lost = opened_page(browser, tmp_path / "fashion-mnist-report.html", said)
    lost.goto(lost.url + "#budget-toaster=3")
    lost.reload()
    lost.wait_for_selector("html[data-ready=true]")
    assert "budget-toaster" in lost.inner_text("#lost")
    assert page.inner_text("#lost") == ""
    page.check("#asking")
    page.fill("#least", "93,2")
    page.keyboard.press("Tab")
    assert float(re.search(r"([\d.]+) %", page.inner_text("#accuracy"))[1]) >= 93.2
    assert said == []


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_is_wider_than_the_screen(browser, digits_study, tmp_path, width):
    page = opened_page(browser, write_report(digits_study, tmp_path), [], viewport={"width": width, "height": 800})
    page.click("#pin")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
