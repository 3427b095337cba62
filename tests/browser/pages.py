"""Real servers and a real Chromium for the tests of pages."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from explorer.serve import Address, address, lab_command, page_environment, page_folder, voila_command

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip
# Voila and Lab say these on every page, with any notebook
HARMLESS = re.compile(
    r"Unsatisfied version|favicon|jsdelivr|fontawesome|cdn\.|_xsrf|403 \(Forbidden\)|api/kernels", re.I
)


@contextmanager
def chromium():
    """A browser; the test is skipped where Debian's chromium is not installed."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("chromium is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def _server(command, folder, environment, address):
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(address, timeout=60)
                break
            except OSError:
                assert process.poll() is None, "the server ended"
                time.sleep(0.5)
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()


@contextmanager
def voila(study=None, notebook=None, preheat=0, where: Address | None = None, idle=300, **environment):
    """Serve the packaged page (or another notebook) as `explorer dashboard` does; gives its address."""
    where = where or address()
    folder = page_folder(where)
    if notebook is not None:
        (folder / "explorer.ipynb").write_text(notebook)
    theme = environment.get("EXPLORER_THEME", "light")
    given = page_environment(study, theme=theme) | environment
    try:
        with _server(voila_command(False, preheat, theme, idle), folder, given, where.url):
            yield where.url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lab(folder: Path, study=None):
    """JupyterLab on a folder, as `explorer lab` does, without a token."""
    where = address()
    command = [*lab_command(folder, where.port, False), "--IdentityProvider.token=", "--ServerApp.password="]
    environment = page_environment(study, page=False) | {"JUPYTERLAB_WORKSPACES_DIR": str(folder / ".ws")}
    with _server(command, folder, environment, where.url + "api"):
        yield where.url


def bare_notebook() -> str:
    """A page with a slider and a FigureWidget and nothing else: what the stack itself costs."""
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
    """A notebook of one cell."""
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": source, "execution_count": None, "outputs": []}
    about = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    return json.dumps({"cells": [cell], "metadata": about, "nbformat": 4, "nbformat_minor": 5})


CHART = """() => { const values = v => [...(v?._inputArray ?? v ?? [])];
    return Object.fromEntries(document.querySelector('.js-plotly-plot').data.map(
        t => [t.name, {n: values(t.x).length, x: values(t.x).slice(-3), y: values(t.y).slice(-3)}])); }"""


def chart(page):
    """Trace name -> number of points and the last values."""
    return page.evaluate(CHART)


def errors_of(page, found):
    """Collect console errors that are ours."""

    def heard(message):
        said = f"{message.text} {(message.location or {}).get('url', '')}"
        if message.type == "error" and not HARMLESS.search(said):
            found.append(said)

    page.on("console", heard)
    page.on("pageerror", lambda error: found.append(str(error)))


def ready(page, address):
    """Open a page and wait for its chart."""
    page.goto(address, timeout=120_000)
    page.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
    page.wait_for_timeout(500)


def run_in_lab(page, address, found):
    """Open `explorer.ipynb` in JupyterLab, run it, and wait for its chart; console errors go to `found`."""
    page.goto(address + "lab/tree/explorer.ipynb", timeout=120_000)
    page.wait_for_selector(".jp-Notebook", timeout=120_000)
    page.wait_for_timeout(3000)
    errors_of(page, found)
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).first.click()
    page.wait_for_selector(".js-plotly-plot .main-svg", timeout=120_000)
    page.wait_for_timeout(1000)


def press_and_time(page, handle, key, times=15):
    """Median milliseconds from a key press on a slider to a changed `generated` point."""
    script = """async () => {
      const plot = document.querySelector('.js-plotly-plot');
      const point = () => JSON.stringify([...plot.data.find(t => t.name === 'generated').x]);
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
