"""Real servers and a real Chromium for the tests of pages."""

import re
from contextlib import contextmanager
from pathlib import Path

import pytest

from explorer.bench.browser import as_notebook, bare_notebook, find_browser, press_and_time, serving, voila
from explorer.bench.browser import chromium as launched
from explorer.page.serve import address, lab_command, page_environment

__all__ = ["as_notebook", "bare_notebook", "chromium", "press_and_time", "voila"]

# Voila and Lab say these on every page, with any notebook
HARMLESS = re.compile(
    r"Unsatisfied version|favicon|jsdelivr|fontawesome|cdn\.|_xsrf|403 \(Forbidden\)|api/kernels", re.I
)


@contextmanager
def chromium():
    """A browser; the test is skipped where Debian's chromium is not installed."""
    if find_browser() is None:
        pytest.skip("chromium is not installed")
    with launched() as browser:
        yield browser


@contextmanager
def lab(folder: Path, study=None):
    """JupyterLab on a folder, as `explorer lab` does, without a token."""
    where = address()
    command = [*lab_command(folder, where.port, False), "--IdentityProvider.token=", "--ServerApp.password="]
    environment = page_environment(study, page=False) | {"JUPYTERLAB_WORKSPACES_DIR": str(folder / ".ws")}
    with serving(command, folder, environment, where.url + "api"):
        yield where.url


# a hidden trace keeps its values as it received them, encoded: it has no points to see
CHART = """() => { const values = v => { const drawn = v?._inputArray ?? v; return drawn?.length ? [...drawn] : []; };
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
