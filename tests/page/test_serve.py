"""What the served page and the notebooks are started with."""

import json
import shutil

import pytest

from explorer.core.errors import InputError
from explorer.page.serve import address, free_port, lab_folder, page_environment, page_folder, voila_command


def test_a_page_folder_holds_the_page_and_its_settings():
    where = address(base="/tools/")
    folder = page_folder(where)
    try:
        assert sorted(path.name for path in folder.iterdir()) == ["explorer.ipynb", "voila.json"]
        assert json.loads((folder / "voila.json").read_text())["Voila"]["base_url"] == "/tools/"
    finally:
        shutil.rmtree(folder)


def test_the_command_names_our_kernels():
    command = voila_command(browser=False, preheat=2, theme="dark")
    assert "--VoilaConfiguration.multi_kernel_manager_class=explorer.page.kernels.Kernels" in command
    assert {"--no-browser", "--pool_size=2", "--VoilaConfiguration.theme=dark"} <= set(command)
    from explorer.page.kernels import Kernels

    assert Kernels.__name__ == "Kernels"


def test_the_environment_says_what_the_page_opens():
    given = page_environment("digits", theme="dark")
    assert (given["EXPLORER_STUDY"], given["EXPLORER_PAGE"], given["EXPLORER_THEME"]) == ("digits", "1", "dark")
    assert "EXPLORER_PAGE" not in page_environment(None, page=False)


def test_ports():
    assert 1 <= free_port(None) <= 65535
    with pytest.raises(InputError, match="choose from 1 to 65535"):
        free_port(0)


def test_changed_notebooks_stay(monkeypatch, tmp_path):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))
    folder = lab_folder()
    (folder / "01_space.ipynb").write_text("mine")
    assert (lab_folder() / "01_space.ipynb").read_text() == "mine"
