"""A training is followed on the page: started in a terminal, stopped and let go on from the page, which is closed once."""

import subprocess
import sys

import pytest

from explorer.study.journal import trainings
from tests.browser.pages import chart, chromium, errors_of, ready, voila

pytestmark = pytest.mark.browser
SAID = ".explorer-training [role=status]"


def opened(browser, address, found):
    page = browser.new_page(viewport={"width": 1440, "height": 1500})
    errors_of(page, found)
    ready(page, address)
    page.get_by_role("tab", name="Training", exact=True).click()
    return page


def test_a_training_in_a_terminal_is_followed_on_the_page(quick_recipe, tmp_path, monkeypatch):
    home, found = tmp_path / "home", []
    monkeypatch.setenv("EXPLORER_HOME", str(home))
    longer = tmp_path / "longer.toml"
    longer.write_text(quick_recipe.read_text().replace("epochs = 3\n", "epochs = 30\n"))
    command = [sys.executable, "-m", "explorer", "train", str(longer), "--out", str(tmp_path / "seen")]
    with chromium() as browser, voila("digits", EXPLORER_HOME=str(home), EXPLORER_TRAININGS="1") as address:
        page = opened(browser, address, found)
        page.get_by_text("No training yet").wait_for()
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        page.close()
        page = opened(browser, address, found)
        page.locator(SAID).filter(has_text="of 480; about").wait_for(timeout=60_000)
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot')[1]?.data[0].y?.length !== 0")
        page.get_by_role("button", name="Stop").click()
        page.locator(SAID).filter(has_text="seen did not finish").wait_for(timeout=60_000)
        assert process.wait(30) != 0
        assert not trainings()[0].running
        page.get_by_role("button", name="Go on").click()
        page.get_by_role("button", name="Stop").wait_for(timeout=30_000)
        page.close()  # the training goes on without it
        page = opened(browser, address, found)
        page.get_by_role("button", name="Open the study").wait_for(timeout=120_000)
        assert page.evaluate("document.querySelectorAll('.js-plotly-plot')[2].data[1].name") == "front so far"
        page.get_by_role("button", name="Open the study").click()
        page.get_by_text("Pareto Explorer: Quick").wait_for(timeout=30_000)
        assert chart(page)["evaluated"]["n"] > 40
        page.close()
    assert not found, found
