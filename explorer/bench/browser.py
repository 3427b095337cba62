"""A real server and a real Chromium, for measuring and testing pages (needs playwright)."""

import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from explorer.page.serve import Address, address, page_environment, page_folder, voila_command

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip


def find_browser() -> str | None:
    """Path of the system's Chromium; None if there is none."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser; requires that `find_browser` finds one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def serving(command: list[str], folder: Path, environment: dict[str, str], address: str) -> Iterator[None]:
    """Run a server during a `with` block, which begins when the server answers."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(address, timeout=60)
                break
            except OSError:
                if process.poll() is not None:
                    raise RuntimeError("the server ended") from None
                time.sleep(0.5)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def voila(
    study: str | None = None, notebook: str | None = None, preheat: int = 0, where: Address | None = None,
    idle: int = 300, visitors: int | None = None, **environment: str,
) -> Iterator[str]:  # fmt: skip
    """Serve the packaged page (or another notebook) as `explorer dashboard` does; yields its address."""
    where = where or address()
    folder = page_folder(where)
    if notebook is not None:
        (folder / "explorer.ipynb").write_text(notebook)
    theme = environment.get("EXPLORER_THEME", "light")
    given = page_environment(study, theme=theme) | environment
    try:
        with serving(voila_command(False, preheat, theme, idle, visitors), folder, given, where.url):
            yield where.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def bare_notebook() -> str:
    """A page with only a slider and a FigureWidget: the baseline, which shows what the stack itself costs."""
    source = (
        "import ipywidgets as w, plotly.graph_objects as go\n"
        "f = go.FigureWidget(go.Figure([go.Scatter(x=list(range(700)), y=list(range(700)), mode='markers'), "
        "go.Scatter(x=[1], y=[1], name='generated')]))\n"
        "s = w.FloatLogSlider(value=1, min=-1, max=1, step=0.01)\n"
        "def move(c):\n    with f.batch_update():\n        f.data[1].x = [c['new']]\n"
        "s.observe(move, 'value')\nw.VBox([s, f])"
    )
    return as_notebook(source)


def as_notebook(source: str) -> str:
    """A notebook with one code cell."""
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "a",
        "metadata": {},
        "source": source,
        "execution_count": None,
        "outputs": [],
    }
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": [cell], "metadata": about, "nbformat": 4, "nbformat_minor": 5})


def press_and_time(page: Any, handle: Any, key: str, times: int = 15) -> float | None:
    """Median milliseconds from a key press on a slider to a changed chart; None if the chart never changed.

    A step may not change the network, so a move of the budget line counts as well as a move of the `generated` point;
    both are drawn by the same update.
    """
    script = """async () => {
      const plot = document.querySelector('.js-plotly-plot');
      const point = () => JSON.stringify(plot.data.filter(t => ['generated', 'budget'].includes(t.name))
        .map(t => [...t.x]));
      const before = point(), start = performance.now();
      window.__moved = new Promise(done => { const wait = () => point() !== before ? done(performance.now() - start)
        : performance.now() - start > 3000 ? done(null) : setTimeout(wait, 1); wait(); });
    }"""
    handle.focus()
    waits = []
    for _ in range(times):
        page.evaluate(script)
        page.keyboard.press(key)
        waits.append(page.evaluate("() => window.__moved"))
        page.wait_for_timeout(60)
    moved = sorted(w for w in waits if w is not None)
    return moved[len(moved) // 2] if moved else None
