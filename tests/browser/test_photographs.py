"""A folder of photographs is dropped on the page: received, upright, and shown class by class."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser.pages import chromium, errors_of, ready, voila
from tests.data.test_parts import smooth

pytestmark = pytest.mark.browser
TURN = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@pytest.fixture
def folder(tmp_path):
    """Two classes of large photographs with a red upper half, some turned by their tag; and a file that is none."""
    root = tmp_path / "holiday"
    for name, first in (("sea", 0), ("woods", 50)):
        (root / name).mkdir(parents=True)
        for i in range(14):
            image = smooth(first + i, (900, 1200))
            image.paste((230, 20, 20), (0, 0, 900, 500))
            tag = (1, 3, 6, 8)[i % 4]
            exif = Image.Exif()
            exif[0x0112] = tag
            turned = image.transpose(TURN[tag]) if tag in TURN else image
            turned.save(root / name / f"{i}.jpg", exif=exif, quality=92)
    (root / "sea" / "notes.pdf").write_bytes(b"%PDF-1.4")
    return root


def test_a_folder_is_received_upright_and_shown(folder, tmp_path, monkeypatch):
    home, found = tmp_path / "home", []
    (tmp_path / "root").mkdir()
    given = {"EXPLORER_HOME": str(home), "EXPLORER_DATA_ROOT": str(tmp_path / "root")}
    with chromium() as browser, voila("digits", **given) as address:
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        errors_of(page, found)
        ready(page, address)
        page.get_by_text("Your own images", exact=True).click()
        page.locator("#explorer-folder").set_input_files(str(folder))
        page.get_by_text("28 photographs of 2 classes").wait_for(timeout=60_000)
        sheet = page.locator(".explorer-sheet")
        assert sheet.locator("img").count() == 12
        assert sheet.locator("img").evaluate_all("all => all.every(i => i.complete && i.naturalWidth === 88)")
        assert "sea" in sheet.inner_text()
        assert "validation and test drawn" in sheet.inner_text()
        assert page.get_by_label("study name").input_value() == "holiday"
        if shots := os.environ.get("EXPLORER_SCREENSHOTS"):
            for width in (390, 1440, 2560):
                page.set_viewport_size({"width": width, "height": 1000})
                page.wait_for_timeout(500)
                page.locator(".explorer-drop").scroll_into_view_if_needed()
                page.screenshot(path=f"{shots}/photographs-{width}.png", full_page=True)
        page.close()
    received = sorted((home / "photographs" / "holiday").rglob("*.jpg"))
    assert len(received) == 28
    for path in received:
        with Image.open(path) as image:
            assert image.size == (320, 427), "scaled to a shorter side of 320, upright"
            assert not image.getexif().get(0x0112)
            pixels = np.asarray(image.convert("RGB"), int)
        assert pixels[40, 160, 0] > 180, f"{Path(path).name}: the red half is above"
        assert pixels[40, 160, 1] < 90
    assert not found, found
