"""The page in a real Chromium, in Voila and in JupyterLab, checked on values and text."""

import os
import shutil

import pytest

from explorer.core.files import data_folder
from explorer.plots.front import TRACES
from tests.browser.pages import bare_notebook, chart, chromium, errors_of, lab, press_and_time, ready, run_in_lab, voila

pytestmark = pytest.mark.browser


SHIFTS = """window.shifts = 0; new PerformanceObserver(list => { for (const entry of list.getEntries())
  if (!entry.hadRecentInput) window.shifts += entry.value; }).observe({type: "layout-shift", buffered: true});"""


def architecture_of(page):
    return page.locator(".architecture-text").first.inner_text()


def check_page(page):
    """Charts have points, every slider moves network and text; gives the median wait of the sliders."""
    traces = chart(page)
    assert list(traces) == list(TRACES)
    assert traces["evaluated"]["n"] > 100
    assert traces["front"]["n"] > 2
    assert traces["generated"]["n"] == 1
    assert page.locator("[data-title*='Share'], [data-title*='loud']").count() == 0
    bound = [page.get_by_label(f"bound {name}", exact=True).is_checked() for name in ("mobile", "cpu", "gpu")]
    assert bound == [True, False, False]
    waits = []
    for target in ("mobile", "cpu", "gpu"):
        handle = page.locator(f".slider-{target} .noUi-handle").first
        before_point, before_text = chart(page)["generated"], architecture_of(page)
        waits.append(press_and_time(page, handle, "ArrowLeft", times=5))
        for key in ("ArrowRight",) * 30 if before_text == architecture_of(page) else ():
            page.keyboard.press(key)
        page.wait_for_timeout(500)
        assert chart(page)["generated"] != before_point, target
        assert architecture_of(page) != before_text, target
        spoken, unit = handle.get_attribute("aria-valuetext").split()
        drawn = page.get_by_label(f"{target} [ms]").first.input_value()
        assert (float(spoken), unit) == (pytest.approx(float(drawn), rel=0.03), "ms"), target
    return min(w for w in waits if w is not None)


def test_the_page_in_voila(tmp_path):
    found = []
    with chromium() as browser, voila("fashion-mnist") as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
        errors_of(page, found)
        ready(page, address)
        waited = check_page(page)
        if "EXPLORER_SCREENSHOTS" in os.environ:  # the pictures of README and docs
            page.screenshot(path=f"{os.environ['EXPLORER_SCREENSHOTS']}/page.png", full_page=True)
        for width, height in ((1440, 900), (390, 844)):
            other = browser.new_page(viewport={"width": width, "height": height})
            other.add_init_script(SHIFTS)
            ready(other, address)
            other.wait_for_timeout(2500)
            assert other.evaluate("window.shifts") < 0.05, "nothing jumps after the first paint"
            assert other.evaluate("document.documentElement.scrollWidth") <= width
            other.close()
        page.get_by_role("tab", name="Export", exact=True).click()
        page.get_by_role("button", name="Export", exact=True).click()
        link = page.locator("a.download-onnx")
        link.wait_for(timeout=120_000)
        with page.expect_download() as download:
            link.click()
        path = tmp_path / "x.onnx"
        download.value.save_as(path)
        assert found == []
    import onnxruntime as ort

    assert ort.InferenceSession(str(path)).get_inputs()[0].name == "images"
    with chromium() as browser, voila(notebook=bare_notebook()) as address:
        page = browser.new_page()
        ready(page, address)
        bare = press_and_time(page, page.locator(".noUi-handle").first, "ArrowLeft")
    print(f"slider to chart: {waited:.0f} ms; bare FigureWidget page {bare:.0f} ms; ratio {waited / bare:.2f}")


def test_the_page_in_jupyterlab(tmp_path):
    found = []
    shutil.copyfile(data_folder("notebooks") / "explorer.ipynb", tmp_path / "explorer.ipynb")
    with chromium() as browser, lab(tmp_path, "fashion-mnist") as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        run_in_lab(page, address, found)
        check_page(page)
        assert found == []
