"""A disk that is full, and one that can only be read: one plain line, and nothing is lost."""

import contextlib
import os
import subprocess
import sys

import pytest

import explorer as ex
from explorer.core.errors import InputError
from explorer.core.files import write_text
from tests.trust.reliability import TRIED


@contextlib.contextmanager
def _mounted(folder, size):
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.fixture
def disk(tmp_path):
    """A disk of 200 kB."""
    TRIED["disks"] += 1
    with _mounted(tmp_path / "disk", "200k") as folder:
        yield folder


def _train(recipe, out):
    line = [sys.executable, "-c", "from explorer.cli import main; main()", "train", str(recipe), "--out", str(out)]
    return subprocess.run([*line, "--resume"], capture_output=True, text=True, timeout=300)


def test_a_file_on_a_full_disk_is_the_old_one(disk):
    write_text(disk / "a.txt", "old")
    with pytest.raises(InputError, match=r"a\.txt.*No space left"):
        write_text(disk / "a.txt", "x" * 1_000_000)
    assert (disk / "a.txt").read_text() == "old"
    assert [path.name for path in disk.iterdir()] == ["a.txt"]


def test_a_training_on_a_full_disk_says_so_and_goes_on_when_there_is_room(disk, quick_study, quick_recipe):
    from tests.study.test_train import hashes

    failed = _train(quick_recipe, disk / "study")
    assert failed.returncode == 2, failed.stderr
    assert "No space left" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not (disk / "study" / "study.json").exists()
    assert not [path for path in disk.rglob("*") if path.suffix == ".tmp"]
    _remount(disk, "size=40m")
    done = _train(quick_recipe, disk / "study")
    assert done.returncode == 0, done.stderr
    assert hashes(disk / "study") == hashes(quick_study.folder)


def test_an_export_to_a_full_disk_leaves_nothing(disk, quick_study, command):
    filler = disk / "filler"
    filler.write_bytes(b"x" * 190_000)
    done = command("export", quick_study.folder, "--budget", f"mobile={quick_study.knee('mobile')}", "--out",
                   disk / "network")  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1
    assert [path.name for path in disk.iterdir()] == ["filler"]


@pytest.mark.parametrize(("form", "free"), [("int8", 10_000), ("tflite", 0), ("torch", 10_000), ("source", 10_000)])
def test_an_export_with_a_full_disk_of_scratch_files_says_so(form, free, disk, quick_study, command, tmp_path):
    _remount(disk, "size=500k")
    (disk / "filler").write_bytes(b"x" * (500_000 - free))
    done = command(
        "export", quick_study.folder, "--budget", f"mobile={quick_study.knee('mobile')}", "--format", form,
        "--out", tmp_path / "network", env=os.environ | {"TMPDIR": str(disk)},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "No space left" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(disk.glob("explorer-*"))
    assert not (tmp_path / "network").exists()


def test_a_search_on_a_full_disk_says_so(disk, quick_study, command):
    (disk / "filler").write_bytes(b"x" * 190_000)
    done = command(
        "search", quick_study.folder, "--algorithm", "nsga2", "--evaluations", 3000, "--file", disk / "front.npz"
    )
    assert done.returncode == 2, done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_a_disk_that_can_only_be_read_is_enough_to_look(disk, quick_study, command, tmp_path):
    import shutil

    _remount(disk, "size=20m")
    shutil.copytree(quick_study.folder, disk / "study")
    _remount(disk, "ro")
    study = ex.open_study(disk / "study")
    assert study.generate({"mobile": study.knee("mobile")}).feasible
    done = command(
        "export", disk / "study", "--budget", f"mobile={study.knee('mobile')}", "--out", tmp_path / "network"
    )
    assert done.returncode == 0, done.stderr
    for line in (
        ["export", disk / "study", "--budget", f"mobile={study.knee('mobile')}", "--out", disk / "network"],
        ["prune", disk / "study", "--quick", "--out", disk / "family"],
        ["device", "add", disk / "study", "i7-8700k", "--out", disk / "other"],
    ):
        done = command(*line)
        assert done.returncode == 2, done.stderr
        assert "Read-only file system" in done.stderr
        assert done.stderr.count("\n") == 1
