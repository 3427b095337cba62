"""Every control of the page at least once, in Voila, checked on values; accessibility; the keyboard alone."""

import re
import shutil

import pytest

from explorer.core.files import data_folder
from explorer.study import open_study
from tests.browser.pages import chart, chromium, errors_of, lab, ready, run_in_lab, voila

pytestmark = pytest.mark.browser

KEY = ".architecture-text code"


FILLS = """() => [...document.querySelectorAll(".js-plotly-plot")].every(
  plot => Math.abs(plot._fullLayout.width - plot.clientWidth) < 3)"""


def key_of_page(page):
    return page.locator(KEY).first.inner_text()


def settle(page, condition, what):
    """Wait until a condition on the page holds."""
    for _ in range(200):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError(what)


def check(page, name, on=True):
    box = page.get_by_label(name, exact=True).first
    box.set_checked(on)


def tab(page, name):
    page.get_by_role("tab", name=name, exact=True).click()


def points(page, trace, plot=0):
    """How many points a trace of one of the charts has, and whether it is shown."""
    return page.evaluate(
        f"""() => {{ const p = document.querySelectorAll('.js-plotly-plot')[{plot}];
        const t = p.data.find(t => t.name === {trace!r});
        return [t.visible ?? true, (t.x && (t.x.length ?? t.x._inputArray?.length)) || 0]; }}"""
    )


def click_point(page, trace, index):
    """Click a point of the first chart, where it is drawn."""
    place = page.evaluate(
        f"""() => {{ const p = document.querySelector('.js-plotly-plot'), l = p._fullLayout;
        const t = p._fullData.find(t => t.name === {trace!r}), i = {index};
        const b = p.querySelector('.nsewdrag').getBoundingClientRect();
        return [b.x + l.xaxis.c2p(t.x[i]), b.y + l.yaxis.c2p(t.y[i])]; }}"""
    )
    page.mouse.move(place[0] - 3, place[1] - 3)
    page.mouse.move(*place, steps=3)
    page.wait_for_timeout(400)
    hovered = page.locator(".hoverlayer").text_content()
    page.mouse.click(*place)
    return hovered


def use_every_control(page, study, tmp_path):
    """Budgets, chart, comparing, measuring and exporting; leaves one pin, and the int8 file in `tmp_path`."""
    # budgets: number field, switch, generator, knee, what more time buys
    number = page.get_by_label("mobile [ms]").first
    low, high = study.budget_range("mobile")
    number.click()
    page.keyboard.press("Control+a")
    page.keyboard.type(f"{low * 1.2:.4g}".replace(".", ","))  # as on a German keyboard
    page.keyboard.press("Enter")
    settle(page, lambda: number.input_value() == f"{low * 1.2:.4g}", "the comma is not dropped")
    settle(page, lambda: chart(page)["generated"]["x"][0] <= low * 1.2 * 1.001, "the number field moves the network")
    assert "buys" in page.locator(".one-more").inner_text()
    number.fill("99999")
    number.press("Enter")
    note = page.locator(".explorer-number-note").first
    settle(page, lambda: "is above the range" in note.inner_text(), "a number that is changed is said")
    number.fill(f"{low * 1.2:.4g}")
    number.press("Enter")
    settle(page, lambda: note.inner_text() == "", "the note goes")
    check(page, "bound mobile", False)
    settle(page, lambda: points(page, "budget")[1] == 0, "no limit, no line")
    check(page, "bound mobile")
    settle(page, lambda: points(page, "budget")[1] == 2, "the line is back")
    other = study.generators[1]
    page.get_by_label("generator", exact=True).select_option(other)
    page.wait_for_timeout(500)
    page.get_by_role("button", name="Suggest: the knee").click()
    settle(page, lambda: abs(chart(page)["budget"]["x"][0] - study.knee("mobile")) < 1e-3, "the knee")
    made = study.generate({"mobile": study.knee("mobile")}, other)
    settle(page, lambda: key_of_page(page) == made.key, "the knee's network")

    # the chart: log, toggles, another target, all targets, hover cards, clicking
    check(page, "log scale")
    settle(page, lambda: page.evaluate("document.querySelector('.js-plotly-plot').layout.xaxis.type") == "log", "log")
    check(page, "log scale", False)
    check(page, "searched front", False)
    settle(page, lambda: points(page, "searched")[0] is False, "hidden")
    check(page, "searched front")
    check(page, "generated front")
    settle(page, lambda: points(page, "generated front")[1] > 5, "the generated front is drawn")
    page.get_by_label("chart of", exact=True).select_option("cpu")
    settle(
        page, lambda: chart(page)["front"]["x"][-1] == pytest.approx(study.front("cpu")["cpu"].iloc[-1]), "cpu chart"
    )
    page.get_by_label("chart of", exact=True).select_option("mobile")
    check(page, "all targets")
    settle(page, lambda: page.locator(".js-plotly-plot").count() == 2, "small charts")
    page.wait_for_timeout(800)
    assert points(page, "evaluated", 1)[1] == len(study.evaluations)
    check(page, "all targets", False)
    front = study.front("mobile")
    hovered = click_point(page, "front", 3)
    settle(page, lambda: key_of_page(page) == front["key"].iloc[3], "the clicked network")
    assert front["key"].iloc[3] in hovered
    assert "measured" in hovered
    assert "gpu" in hovered
    assert points(page, "picked")[1] == 1
    assert points(page, "measured")[1] == 1 + (made.key in set(study.evaluations["key"]))

    # compare
    page.get_by_role("button", name="Pin this network").click()
    page.get_by_role("button", name="Back to generated").click()
    settle(page, lambda: points(page, "picked")[1] == 0, "released")
    page.get_by_role("button", name="Pin this network").click()
    settle(page, lambda: points(page, "pinned")[1] == 2, "two pins")
    settle(page, lambda: page.locator("table.compare .differs").count() > 2, "differences are marked")
    assert "blocks differ" in page.locator("svg[aria-label*='blocks differ']").first.get_attribute("aria-label")
    page.get_by_role("button", name="Unpin 1").click()
    settle(page, lambda: points(page, "pinned")[1] == 1, "one pin")

    # measuring, and cancelling it
    page.get_by_role("button", name="Evaluate now").click()
    page.get_by_role("button", name="Cancel").first.click()
    page.get_by_text("Cancelled.").wait_for(timeout=60_000)
    page.get_by_role("button", name="Measure on this machine").click()
    page.get_by_text(re.compile(r"ms \+- .* \(measured")).first.wait_for(timeout=120_000)
    page.get_by_role("button", name="Evaluate now").click()
    page.get_by_text("on val images (measured, inherited weights)").wait_for(timeout=120_000)

    # export of several files; one of them downloaded
    tab(page, "Export")
    check(page, "ONNX, int8")
    check(page, "PyTorch source")
    page.get_by_role("button", name="Export", exact=True).click()
    page.locator("a.download-source").wait_for(timeout=240_000)
    assert "int8:" in page.locator("div.widget-html", has_text="Same class as the original").last.inner_text()
    with page.expect_download() as download:
        page.locator("a.download-int8").click()
    download.value.save_as(tmp_path / "int8.onnx")
    import onnxruntime as ort

    assert ort.InferenceSession(str(tmp_path / "int8.onnx")).get_inputs()[0].name == "images"

    # the study as a page that needs no server
    page.get_by_role("button", name="The study as a web page").click()
    with page.expect_download() as download:
        page.locator("a.download-page").click(timeout=60_000)
    download.value.save_as(tmp_path / "page.html")
    assert "window.explorer" in (tmp_path / "page.html").read_text()


def use_what_stands_around(page, study):
    """Undo and redo, the gallery, names of pins, one row per target, ranges on axes."""
    page.get_by_role("button", name="Suggest: the knee").click()
    name = page.get_by_label("generator", exact=True).input_value()
    knee = study.generate({"mobile": study.knee("mobile")}, name).key
    settle(page, lambda: key_of_page(page) == knee, "the knee")
    cards = page.locator(".explorer-gallery button")
    first = cards.first.get_attribute("data-key")
    cards.first.hover()
    settle(page, lambda: points(page, "hinted")[1] == 1, "pointing marks a network")
    cards.first.click()
    settle(page, lambda: key_of_page(page) == first, "a click takes it")
    page.get_by_role("button", name="Undo").click()
    settle(page, lambda: key_of_page(page) == knee, "undone")
    page.get_by_role("button", name="Redo").click()
    settle(page, lambda: key_of_page(page) == first, "redone")
    page.get_by_role("button", name="Back to generated").click()

    tab(page, "Compare")
    field = page.get_by_label("name of 1")
    field.fill("for the phone")
    field.press("Tab")
    settle(page, lambda: "for the phone" in page.locator("table.compare").inner_text(), "the pin's name")
    assert "name-1=for+the+phone" in page.locator("a.state-link").get_attribute("href")

    tab(page, "Targets")
    take = page.get_by_role("button", name="Take the winner on gpu")
    winner = take.get_attribute("data-key")
    take.click()
    settle(page, lambda: key_of_page(page) == winner, "the winner on the gpu")
    page.get_by_role("button", name="Back to generated").click()

    tab(page, "Axes")
    page.get_by_text("Ranges as numbers").click()
    low, high = study.budget_range("mobile")
    field = page.get_by_label("mobile to", exact=True)
    field.fill(f"{low * 1.3:.4g}")
    field.press("Enter")
    settle(page, lambda: points(page, "found")[1] > 0, "networks within the range are in the chart")
    settle(page, lambda: chart(page)["budget"]["x"][0] == pytest.approx(float(f"{low * 1.3:.4g}")), "and its budget")
    assert "within 1 range" in page.locator(".explorer-tabs").inner_text()
    take = page.locator(".explorer-tabs button[data-key]:visible").first
    found = take.get_attribute("data-key")
    take.click()
    settle(page, lambda: key_of_page(page) == found, "a network of the table")
    page.get_by_role("button", name="Clear all ranges").click()
    settle(page, lambda: points(page, "found")[1] == 0, "no range, no networks")
    axis = page.locator(".parcoords .axis-brush, .parcoords .axis").first.bounding_box()
    page.mouse.move(axis["x"] + axis["width"] / 2, axis["y"] + axis["height"] * 0.9)
    page.mouse.down()
    page.mouse.move(axis["x"] + axis["width"] / 2, axis["y"] + axis["height"] * 0.6, steps=6)
    page.mouse.up()
    settle(page, lambda: points(page, "found")[1] > 0, "brushing an axis finds networks")
    page.get_by_role("button", name="Clear all ranges").click()


def use_the_other_questions(page, study):
    """Accuracy instead of a budget, eight bits, and boards."""
    check(page, "ask for accuracy instead")
    least = page.get_by_label("at least [%]").first
    least.wait_for()
    least.fill("93,2")
    least.press("Enter")
    page.get_by_label("cheapest on", exact=True).select_option("gpu")
    name = page.get_by_label("generator", exact=True).input_value()
    wanted = study.cheapest(0.932, "gpu", generator=name).key
    settle(page, lambda: key_of_page(page) == wanted, "the cheapest on the gpu")
    check(page, "ask for accuracy instead", False)
    page.get_by_role("button", name="eight bits").click()
    page.get_by_label("ram_kb [kB]").first.wait_for(timeout=60_000)
    eight = study.in_precision("int8")
    settle(page, lambda: points(page, "evaluated")[1] == len(eight.evaluations), "the networks measured in eight bits")
    made = eight.generate({"cpu-int8": eight.knee("cpu-int8")}, name)
    settle(page, lambda: key_of_page(page) == made.key, "the knee in eight bits")
    page.get_by_label("board", exact=True).select_option(label="Raspberry Pi Pico")
    settle(page, lambda: page.get_by_label("bound flash_kb", exact=True).first.is_checked(), "a board bounds flash")
    page.get_by_role("button", name="float32").click()
    page.get_by_label("mobile [ms]").first.wait_for(timeout=60_000)


def test_every_control_does_what_it_says(tmp_path):
    home, root = tmp_path / "home", tmp_path / "data"
    (home / "studies").mkdir(parents=True)
    root.mkdir()
    shutil.copytree(open_study("digits").folder, home / "studies" / "mine")
    found = []
    given = {"EXPLORER_HOME": str(home), "EXPLORER_DATA_ROOT": str(root)}
    with chromium() as browser, voila("fashion-mnist", **given) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 2200}, accept_downloads=True)
        errors_of(page, found)
        ready(page, address)
        study = open_study("fashion-mnist")

        use_every_control(page, study, tmp_path)

        # a link restores the state
        address_of_state = page.locator("a.state-link").get_attribute("href")
        key, shown = key_of_page(page), chart(page)["generated"]
        ready(page, address + address_of_state)
        assert key_of_page(page) == key
        assert chart(page)["generated"] == shown
        assert points(page, "pinned")[1] == 1
        use_what_stands_around(page, study)
        use_the_other_questions(page, study)

        # studies: another one, renaming, deleting
        page.get_by_label("study", exact=True).select_option(label="imagenet-mobilenetv3")
        settle(page, lambda: "ImageNet" in page.locator("h2").first.inner_text(), "another study")
        settle(
            page, lambda: points(page, "evaluated")[1] == len(open_study("imagenet-mobilenetv3").evaluations), "points"
        )
        settle(page, lambda: page.evaluate(FILLS), "a chart as wide as its column, though drawn before it had one")
        tab(page, "My studies")
        page.get_by_label("new name").fill("renamed")
        page.get_by_role("button", name="Rename").click()
        page.get_by_text("mine is now renamed").wait_for(timeout=30_000)
        check(page, "yes, delete it for good")
        page.get_by_role("button", name="Delete").click()
        page.get_by_text("renamed is deleted").wait_for(timeout=30_000)
        assert not list((home / "studies").iterdir())
        tab(page, "Your own images")
        page.get_by_text("No folder of class folders").wait_for(timeout=30_000)
        assert found == []


def test_every_control_in_jupyterlab(tmp_path):
    found = []
    (tmp_path / "lab").mkdir()
    shutil.copyfile(data_folder("notebooks") / "explorer.ipynb", tmp_path / "lab" / "explorer.ipynb")
    with chromium() as browser, lab(tmp_path / "lab", "fashion-mnist") as address:
        page = browser.new_page(viewport={"width": 1500, "height": 2600}, accept_downloads=True)
        run_in_lab(page, address, found)
        use_every_control(page, open_study("fashion-mnist"), tmp_path)
        use_what_stands_around(page, open_study("fashion-mnist"))
        use_the_other_questions(page, open_study("fashion-mnist"))
        assert found == []


def press_until(page, there, key="Tab", most=120):
    """Press a key until the focused element is the one looked for."""
    for _ in range(most):
        page.keyboard.press(key)
        if page.evaluate(f"() => {there}"):
            return
    raise AssertionError(f"{key} never reached {there}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_keyboard_alone_and_no_serious_barrier(theme, tmp_path):
    from axe_playwright_python.sync_playwright import Axe

    with chromium() as browser, voila("fashion-mnist", EXPLORER_THEME=theme) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1700}, accept_downloads=True)
        ready(page, address)
        page.screenshot(path=str(tmp_path / f"{theme}.png"), full_page=True)
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 1700})
            page.wait_for_timeout(500)
            found = Axe().run(page)
            serious = [
                (v["id"], v["impact"], [n["html"][:140] for n in v["nodes"]][:4])
                for v in found.response["violations"] if v["impact"] in ("serious", "critical")
            ]  # fmt: skip
            assert serious == [], width
        page.set_viewport_size({"width": 1280, "height": 1700})
        if theme == "dark":
            return
        key = key_of_page(page)
        press_until(page, "document.activeElement.classList.contains('noUi-handle')")
        for _ in range(8):
            page.keyboard.press("ArrowLeft")
        settle(page, lambda: key_of_page(page) != key, "arrows move the network")
        press_until(page, "document.activeElement.getAttribute('role') === 'tab'")
        press_until(page, "document.activeElement.textContent.trim() === 'Export'", "ArrowRight", 8)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Export", exact=True).wait_for()
        press_until(page, "document.activeElement.matches('button') && document.activeElement.innerText === 'Export'")
        page.keyboard.press("Enter")
        page.locator("a.download-onnx").wait_for(timeout=120_000)
        press_until(page, "document.activeElement.classList.contains('download-onnx')")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename.endswith(".onnx")
