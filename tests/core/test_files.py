"""A folder of results is whole or absent, and stays the folder that it was."""

import os
from pathlib import Path

import pytest

from explorer.core.errors import InputError
from explorer.core.files import empty_folder, hand_over


@pytest.fixture
def work(tmp_path):
    folder = tmp_path / "work"
    (folder / "devices").mkdir(parents=True)
    (folder / "study.json").write_text("{}")
    (folder / "devices" / "cpu.json").write_text("{}")
    return folder


def names(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


def test_a_new_folder_comes_with_all_of_its_files(work, tmp_path):
    hand_over(work, empty_folder(tmp_path / "a" / "b"))
    assert names(tmp_path / "a" / "b") == names(work)
    assert names(tmp_path / "a") == ["b", *(f"b/{name}" for name in names(work))]


def test_the_working_directory_can_take_them(work, tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir(0o750)
    monkeypatch.chdir(here)
    before = os.stat(".")
    hand_over(work, empty_folder("."))
    assert names(Path()) == names(work)
    assert (os.stat(here).st_ino, os.stat(here).st_mode) == (before.st_ino, before.st_mode)


def test_what_cannot_be_written_is_absent(work, tmp_path, monkeypatch):
    def full(source, target, **_):
        Path(target).mkdir()
        (Path(target) / "half").write_text("")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("explorer.core.files.shutil.copytree", full)
    with pytest.raises(InputError, match="No space left"):
        hand_over(work, tmp_path / "out")
    assert names(tmp_path) == ["work", *(f"work/{name}" for name in names(work))]
