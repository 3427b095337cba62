"""Benchmarks of the page against a bare page with a slider and a FigureWidget: cold start, slider response, memory.

A cold start lasts from opening the address, with an empty browser cache, until the star (the `generated` point) has
moved. All figures are medians; the pages are measured alternately.
"""

import contextlib
import statistics
import time
from importlib.util import find_spec
from typing import Any

import psutil

from explorer.bench.browser import as_notebook, bare_notebook, chromium, find_browser, press_and_time, voila

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
  const plot = document.querySelector('.js-plotly-plot');
  const point = () => JSON.stringify([...plot.data.find(t => t.name === 'generated').x]);
  const start = performance.now(), before = point();
  const late = () => performance.now() - start > 400;
  const wait = () => point() !== before ? done(true) : late() ? done(false) : setTimeout(wait, 2);
  wait(); })"""


def first_move(browser: Any, address: str) -> float:
    """Seconds from requesting a page until its star has moved for the first time."""
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
    """Resident memory in MB of every kernel that descends from this process; forks share much of it."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # the process has ended
            fork = "explorer.page.nursery" in " ".join(process.parent().cmdline())
            if fork or "ipykernel_launcher" in " ".join(process.cmdline()):
                found.append(process.memory_info().rss / 1e6)
    return found


def cold_starts(browser: Any, rounds: int) -> tuple[dict[str, float], float]:
    """Median cold starts in seconds (page, page with a preheated kernel, bare page); MB of the largest kernel.

    The bare page is what Voila gives by itself, so its kernel is no fork: it starts from nothing.
    """
    seconds: dict[str, list[float]] = {"page": [], "preheated": [], "bare": []}
    memory = []
    with (
        voila("fashion-mnist", preheat=2) as warm,
        voila("fashion-mnist") as ours,
        voila(notebook=bare_notebook(), JUPYTER_DEFAULT_PROVISIONER_NAME="local-provisioner") as bare,
    ):
        for turn in range(rounds):
            if turn:
                time.sleep(12)  # until the pool of preheated kernels is full again
            seconds["page"].append(first_move(browser, ours))
            memory += kernels()
            seconds["bare"].append(first_move(browser, bare))
            time.sleep(12)  # until the processes that the other pages started are idle
            seconds["preheated"].append(first_move(browser, warm))
    return {name: statistics.median(values) for name, values in seconds.items()}, max(memory)


def slider(browser: Any, **served: Any) -> float:
    """Median milliseconds from a key press to a changed chart."""
    with voila(**served) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.goto(address, timeout=120_000)
        page.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
        page.wait_for_timeout(1500)
        handle = page.locator(".noUi-handle").first
        wait = press_and_time(page, handle, "ArrowRight", 25)  # not left, where the end of the slider is near
        page.close()
    assert wait is not None
    return wait


def page(quick: bool) -> dict[str, dict[str, float]]:
    """Cold start and slider response relative to the bare page; slider response of 10,000 points relative to 500."""
    from explorer.bench import Skipped

    if find_browser() is None or find_spec("playwright") is None:
        raise Skipped("chromium or playwright is not installed")
    with chromium() as browser:
        starts, kernel = cold_starts(browser, 1 if quick else 3)
        served: dict[str, dict[str, Any]] = {
            "bare": {"notebook": bare_notebook()}, "page": {"study": "fashion-mnist"},
        }  # fmt: skip
        if not quick:
            served |= {f"cloud of {n:,}": {"notebook": as_notebook(CLOUD.format(n=n))} for n in (500, 10_000)}
        rounds = [{name: slider(browser, **what) for name, what in served.items()} for _ in range(1 if quick else 3)]
        waits = {name: statistics.median(found[name] for found in rounds) for name in served}
    ratios = {
        "cold start over bare": starts["page"] / starts["bare"],
        "preheated start over bare": starts["preheated"] / starts["bare"],
        "slider to chart over bare": waits["page"] / waits["bare"],
    }
    if not quick:
        ratios["cloud of 10,000 over 500, slider to chart"] = waits["cloud of 10,000"] / waits["cloud of 500"]
    times = {f"seconds to the first moved star, {name}": s for name, s in starts.items()}
    times |= {f"ms from slider to chart, {name}": ms for name, ms in waits.items()}
    return {"ratios": ratios, "slopes": {}, "times": times | {"MB of a page's kernel": kernel}}
