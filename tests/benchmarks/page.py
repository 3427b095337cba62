"""The page against a bare page with a slider and a FigureWidget, in one run: first moved star, slider to chart, memory.

    python -m tests.benchmarks.page

Cold start: from opening the address to a `generated` point that has moved, browser cache empty. Medians; the pages take turns.
"""

import contextlib
import json
import statistics
import time

import psutil

from tests.browser.pages import as_notebook, bare_notebook, chromium, press_and_time, voila

ROUNDS = 5
CLOUD = """
import numpy as np
import explorer as ex
from explorer.evaluators.scoring import Scored
study = ex.open_study("fashion-mnist")
codes = study.space.sample({n}, np.random.default_rng(0))
study.scored = Scored(codes, study.predictor.evaluate(codes), np.full(len(codes), "predicted", object))
ex.Dashboard(study)
"""
MOVED = """() => new Promise(done => {
  const point = () => JSON.stringify([...document.querySelector('.js-plotly-plot').data.find(t => t.name === 'generated').x]);
  const start = performance.now(), before = point();
  const wait = () => point() !== before ? done(true) : performance.now() - start > 400 ? done(false) : setTimeout(wait, 2);
  wait(); })"""


def first_move(browser, address: str) -> float:
    """Seconds from asking for a page to its first moved star."""
    context = browser.new_context()
    page = context.new_page()
    start = time.perf_counter()
    page.goto(address, timeout=120_000, wait_until="commit")
    page.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
    handle = page.locator(".noUi-handle").first
    handle.wait_for(timeout=120_000)
    handle.focus()
    for _ in range(200):
        page.keyboard.press("ArrowLeft")
        if page.evaluate(MOVED):
            break
    else:
        raise RuntimeError("the star never moved")
    seconds = time.perf_counter() - start
    context.close()
    return seconds


def kernels() -> list[float]:
    """Resident memory of every kernel below this process, in MB."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it ended meanwhile
            if "ipykernel_launcher" in " ".join(process.cmdline()):
                found.append(process.memory_info().rss / 1e6)
    return found


def cold_starts(browser) -> dict:
    """Medians of ours, of a page whose kernel waits already, and of the bare one."""
    seconds: dict[str, list[float]] = {"page": [], "preheated": [], "bare": []}
    memory = []
    with (
        voila("fashion-mnist") as ours,
        voila("fashion-mnist", preheat=2) as warm,
        voila(notebook=bare_notebook()) as bare,
    ):
        for _ in range(ROUNDS):
            seconds["page"].append(first_move(browser, ours))
            memory += kernels()
            time.sleep(12)  # the pool of waiting kernels fills again
            seconds["preheated"].append(first_move(browser, warm))
            time.sleep(12)
            seconds["bare"].append(first_move(browser, bare))
    result: dict = {f"{name}_s": round(statistics.median(values), 2) for name, values in seconds.items()}
    return result | {
        "page_over_bare": round(result["page_s"] / result["bare_s"], 2),
        "preheated_over_bare": round(result["preheated_s"] / result["bare_s"], 2),
        "kernel_mb": round(max(memory)),
    }


def slider(browser, **served) -> float:
    """Median milliseconds from a key to a changed chart."""
    with voila(**served) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(address, timeout=120_000)
        page.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
        page.wait_for_timeout(1500)
        handle = page.locator(".noUi-handle").first
        wait = press_and_time(page, handle, "ArrowLeft", 25)
        page.close()
    assert wait is not None
    return wait


def main() -> None:
    """Print all of it."""
    with chromium() as browser:
        result = cold_starts(browser)
        waits = {
            "bare": slider(browser, notebook=bare_notebook()),
            "page": slider(browser, study="fashion-mnist"),
            "cloud_500": slider(browser, notebook=as_notebook(CLOUD.format(n=500))),
            "cloud_10000": slider(browser, notebook=as_notebook(CLOUD.format(n=10_000))),
        }
    result |= {f"slider_{name}_ms": round(value, 1) for name, value in waits.items()}
    result["slider_page_over_bare"] = round(waits["page"] / waits["bare"], 2)
    result["cloud_10000_over_500"] = round(waits["cloud_10000"] / waits["cloud_500"], 2)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
