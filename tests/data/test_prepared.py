"""Photographs are read once and kept on disk: whole or absent, never stale, larger than the memory."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.cli.main import run
from explorer.core.errors import InputError
from explorer.data import load_dataset
from explorer.data.folders import Folder
from tests.data.test_parts import folder_of, smooth


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "images"


@pytest.fixture
def root(tmp_path):
    return folder_of(tmp_path / "photos", {"cat": 20, "dog": 20})


def test_images_are_the_middle_of_the_upright_photographs(root):
    images = load_dataset(f"folder:{root}", size=48)
    assert images.train.images.shape == (28, 3, 48, 48)
    assert images.train.images.dtype == torch.uint8
    assert len(images.train.photos) == 28
    for split in (images.train, images.val, images.test):
        for i in range(len(split)):
            whole = split.photos[i]
            assert whole.shape == (3, 55, 73), "shorter side 8/7 of the size, never squashed"
            assert torch.equal(whole[:, 3:51, 12:60], split.images[i])
    values = images.train.images.double() / 255
    assert np.allclose(images.mean, values.mean((0, 2, 3)))
    assert np.allclose(images.std, values.std((0, 2, 3), correction=0))


def test_the_second_time_nothing_is_decoded(root, monkeypatch):
    first = load_dataset(f"folder:{root}", size=32)
    monkeypatch.setattr("explorer.data.prepared.read_image", None)
    again = load_dataset(f"folder:{root}", size=32)
    assert torch.equal(first.train.images, again.train.images)
    assert first.fingerprint == again.fingerprint


@pytest.mark.parametrize("change", ["another file", "one more", "one less", "another size"])
def test_what_changed_is_read_again(change, root, home):
    before = load_dataset(f"folder:{root}", size=32)
    if change == "another file":
        smooth(999).save(root / "cat" / "1.png")
        os.utime(root / "cat" / "1.png", (1, 1))
    elif change == "one more":
        smooth(999).save(root / "cat" / "999.png")
    elif change == "one less":
        (root / "cat" / "1.png").unlink()
    after = load_dataset(f"folder:{root}", size=40 if change == "another size" else 32)
    assert before.fingerprint != after.fingerprint
    assert len(list(home.iterdir())) == 2


def test_a_killed_preparation_leaves_nothing_and_starts_again(root, home):
    code = (
        "import os, sys, explorer.data.prepared as p\n"
        "real = p._append\n"
        "def stop(file, pixels):\n"
        "    if file.tell() > 60_000: os._exit(9)\n"
        "    return real(file, pixels)\n"
        "p._append = stop\n"
        "from explorer.data.folders import Folder\n"
        "from pathlib import Path\n"
        "Folder(Path(sys.argv[1]), 0, 32)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(root)], check=False).returncode == 9
    assert not [p for p in home.iterdir() if not p.name.startswith(".")]
    assert len(Folder(root, 0, 32).labels) == 40


def test_broken_files_are_refused_or_left_out_by_choice(root, capsys):
    (root / "cat" / "cut.png").write_bytes((root / "cat" / "1.png").read_bytes()[:200])
    with pytest.raises(
        InputError, match=r"1 file\(s\) .* cat/cut\.png; repair or remove them, or leave them out with --skip"
    ):
        Folder(root, 0, 32)
    assert run(["data", "info", f"folder:{root}"]) == 2
    assert run(["data", "info", f"folder:{root}", "--skip-broken"]) == 0
    assert "1 file(s) left out of class 'cat' (cat/cut.png): damaged" in capsys.readouterr().out
    images = load_dataset(f"folder:{root}", size=32, skip_broken=True)
    assert len(images.train) + len(images.val) + len(images.test) == 40


def test_a_full_disk_is_one_message(root, monkeypatch, home):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("explorer.data.prepared._append", full)
    with pytest.raises(InputError, match=r"cannot be prepared in .*: No space left on device"):
        Folder(root, 0, 32)
    assert not list(home.iterdir())


def test_grey_photographs_stay_grey_and_become_colour_for_pretrained_weights(tmp_path):
    root = folder_of(tmp_path / "g", {"cat": 20, "dog": 20})
    for path in root.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    images = load_dataset(f"folder:{root}", size=32)
    assert images.channels == 1
    assert images.train.photos[0].shape[0] == 1
    coloured = images.coloured()
    assert coloured.channels == 3
    assert coloured.train.photos[0].shape[0] == 3
    assert torch.equal(coloured.train.images[:, 2], images.train.images[:, 0])


def test_the_command_says_what_is_there(root, capsys):
    assert run(["data", "prepare", f"folder:{root}", "--size", "32", "--json"]) == 0
    import json

    found = json.loads(capsys.readouterr().out)
    assert {"layout", "images", "classes", "skipped", "duplicates", "sizes"} <= set(found)
    assert found["images"] == 40
    assert found["bytes"] > 40 * 32 * 32 * 3
    assert run(["data", "info", "digits"]) == 2
    assert "expected folder:PATH" in capsys.readouterr().err


def test_nothing_of_torch_is_loaded_to_look_at_a_folder(root):
    code = "import sys; from explorer.cli.main import run; run(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "data", "info", f"folder:{root}"], capture_output=True, check=False
    )
    assert done.returncode == 0


def test_a_file_that_can_be_read_again_is(root, monkeypatch):
    """Permissions change neither name nor size nor time, so what failed is tried again."""
    from explorer.data import prepared
    from explorer.data.reading import Broken

    real = prepared.read_image
    monkeypatch.setattr(prepared, "read_image", lambda path, size: (_ for _ in ()).throw(Broken("cannot be read: denied"))
                        if path.name == "1.png" else real(path, size))  # fmt: skip
    with pytest.raises(InputError, match=r"cat/1\.png"):
        Folder(root, 0, 32)
    monkeypatch.setattr(prepared, "read_image", real)
    assert len(Folder(root, 0, 32).labels) == 40


@pytest.mark.parametrize("size", [33.5, "96", True, -5, 2000])
def test_a_size_that_is_none_is_refused(root, size):
    with pytest.raises(InputError, match="choose a whole number of pixels from 4 to 1024"):
        load_dataset(f"folder:{root}", size=size)
