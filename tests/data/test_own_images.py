"""One's own images: archives, a suggested recipe, and the whole way on the page."""

import contextlib
import io
import re
import tarfile
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from explorer.cli.main import run
from explorer.core.errors import InputError
from explorer.data import archives
from explorer.data.archives import unpacked
from explorer.study.recipe import load_recipe
from explorer.study.suggest import suggest
from explorer.widgets.dashboard import Dashboard
from explorer.widgets.own_images import sources


@pytest.fixture
def images(tmp_path):
    """A folder of two classes, 40 images of 8 px each: dark above, or dark below."""
    rng = np.random.default_rng(0)
    for name, dark in (("above", slice(0, 4)), ("below", slice(4, 8))):
        (tmp_path / "data" / "shades" / name).mkdir(parents=True)
        for i in range(40):
            pixels = rng.integers(120, 255, (8, 8), np.uint8)
            pixels[dark] //= 4
            Image.fromarray(pixels).save(tmp_path / "data" / "shades" / name / f"{i}.png")
    return tmp_path / "data"


def archive(path, members):
    """An archive of these names and bytes, by its ending."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as out:
            for name, content in members.items():
                out.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz") as out:
            for name, content in members.items():
                about = tarfile.TarInfo(name)
                about.size = len(content)
                out.addfile(about, io.BytesIO(content))
    return path


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_an_archive_is_a_folder(images, tmp_path, name, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    files = {str(f.relative_to(images)): f.read_bytes() for f in (images / "shades").rglob("*.png")}
    path = archive(tmp_path / name, files)
    folder = unpacked(path)
    assert sorted(p.name for p in folder.iterdir()) == ["above", "below"], "a single outer folder is stepped into"
    assert unpacked(path) == folder


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("member", ["../outside.png", "/outside.png", "x/../../outside.png"])
def test_an_archive_writes_nothing_outside(tmp_path, name, member, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    (tmp_path / "in").mkdir()
    path = archive(tmp_path / "in" / name, {member: b"x"})
    with contextlib.suppress(InputError):  # or it lands inside, without its root
        unpacked(path)
    assert not list(tmp_path.glob("*.png"))
    assert not list(tmp_path.glob("home/images/*.png"))


def test_damaged_and_huge_archives_are_refused_and_leave_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("explorer.data.archives.LIMIT", 1000)
    for name, content in (("big.zip", b"\0" * 2000), ("big.tar.gz", b"\0" * 2000)):
        with pytest.raises(InputError, match="holds 2,000 bytes or more; at most 1,000"):
            unpacked(archive(tmp_path / name, {"a": content}))
    (tmp_path / "bad.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"bad\.zip.*cannot be unpacked"):
        unpacked(tmp_path / "bad.zip")
    assert not list((tmp_path / "home" / "images").iterdir())


def test_an_archive_that_two_unpack_at_once_serves_both(images, tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    path = archive(tmp_path / "two.zip", {"a/1.png": b"x", "b/1.png": b"y"})
    both_are_there = threading.Barrier(2, timeout=30)
    unzip = archives._zip

    def together(*arguments):
        unzip(*arguments)
        both_are_there.wait()

    monkeypatch.setattr(archives, "_zip", together)
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(unpacked, [path, path]))
    assert folders[0] == folders[1]
    assert sorted(p.name for p in folders[0].iterdir()) == ["a", "b"]
    assert len(list((tmp_path / "home" / "images").iterdir())) == 1


def test_a_recipe_by_size_and_number_of_images(images):
    found = suggest(f"folder:{images / 'shades'}", minutes=1)
    assert (found.images, found.classes, found.size) == (80, 2, 8)
    assert found.recipe.space == "mobile-tiny"
    assert found.seconds == pytest.approx(sum(found.parts.values()))
    assert found.possible == (found.least <= 60)
    for minutes in (0, -1, 10_000):
        with pytest.raises(InputError, match="minutes"):
            suggest("digits", minutes)


def test_forty_images_are_enough_and_two_seconds_are_not(images, tmp_path, capsys):
    """Fewer images than a usual recipe recalibrates on; and a time in which nothing can be trained is called so."""
    for file in sorted((images / "shades").glob("*/*"))[::2]:
        file.unlink()
    out = tmp_path / "recipe.toml"
    assert run(["suggest", f"folder:{images / 'shades'}", "--minutes", "0.03", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "40 images of 2 classes" in said
    assert re.search(r"0.03 min are not possible on this machine: the least is about \d+ min", said)
    assert load_recipe(out).scores.calibration_images == 32


def test_only_what_lies_below_the_root_is_offered(images, tmp_path):
    (tmp_path / "elsewhere" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere" / "b").mkdir()
    (images / "link").symlink_to(tmp_path / "elsewhere")
    archive(images / "more.zip", {"a/1.png": b"x"})
    assert sources(images) == ["more.zip", "shades"]


def test_the_panel_is_off_unless_a_root_is_given(digits_study, monkeypatch):
    monkeypatch.delenv("EXPLORER_DATA_ROOT", raising=False)
    assert Dashboard(digits_study).images is None


@pytest.mark.long
def test_own_images_become_a_study_on_the_page(images, tmp_path, digits_study, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EXPLORER_DATA_ROOT", str(images))
    page = Dashboard(digits_study)
    panel = page.images
    assert panel.train.disabled, "a recipe comes first"
    panel.minutes.value = 1
    panel.suggest().result(120)
    assert "80 images of 2 classes, about 8 px" in panel.row.result.value
    assert "estimated" in panel.row.result.value
    panel.name.value = "../outside"
    panel.train.click()
    assert "use letters, digits" in page.message.value
    panel.name.value = "shades"
    panel.start().result(200)
    assert page.state.study.name == "shades"
    assert page.state.study.evaluations.accuracy.max() > 0.8
    assert "shades" in [value for _, value in page.studies.options]


def test_a_training_on_own_images_fits_what_is_chosen(images, tmp_path, digits_study, monkeypatch):
    """A recipe for other images or minutes is none, and a training that cannot be started leaves its name free."""
    import shutil

    from explorer.study.journal import trainings

    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EXPLORER_DATA_ROOT", str(images))
    shutil.copytree(images / "shades", images / "others")
    panel = Dashboard(digits_study).images
    found = {"images": 80, "classes": 2, "size": 8, "seconds": 60, "recipe": {"space": "s", "supernet": {"epochs": 1}}}
    asked = panel.source.value, panel.minutes.value
    panel._suggested(found, tmp_path / "r.toml", asked)
    panel._ready()
    assert not panel.train.disabled
    panel.minutes.value += 1
    assert panel.train.disabled
    panel._suggested(found, tmp_path / "r.toml", asked)
    panel._ready()
    assert panel.train.disabled, "it is of other minutes"
    assert "Suggest again" in panel.row.result.value
    panel._recipe = str(tmp_path / "absent.toml")
    with pytest.raises(InputError, match="cannot be started"):
        panel.start()
    assert not (tmp_path / "home" / "studies" / panel.name.value).exists()
    assert trainings() == []


def test_a_dropped_folder_is_written_shown_and_chosen(tmp_path, digits_study, monkeypatch):
    """What the browser sends lands below one folder; names that lead elsewhere, and files it cannot show, do not."""
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("EXPLORER_DATA_ROOT", str(tmp_path))
    panel = Dashboard(digits_study).images
    drop = panel.drop
    drop.receive({"begin": "my/..photos", "files": 52}, [])
    rng = np.random.default_rng(0)

    def jpeg():
        file = io.BytesIO()
        small = Image.fromarray(rng.integers(0, 255, (6, 8, 3), np.uint8))
        small.resize((160, 120), Image.Resampling.BICUBIC).save(file, "JPEG")
        return memoryview(file.getvalue())

    for name in ("cat", "dog"):
        for i in range(24):
            drop.receive({"path": f"photos/{name}/{i}.heic", "at": i}, [jpeg()])
    drop.receive({"path": "photos/cat/0.png", "at": 49}, [jpeg()])  # another file of the same stem is kept too
    drop.receive({"path": "photos/cat/movie.mp4", "at": 50, "unreadable": True}, [])
    drop.receive({"path": "photos/../../../evil.jpg", "at": 51}, [jpeg()])
    drop.receive({"path": "photos/cat/.DS_Store", "at": 52}, [jpeg()])
    shown = panel.show
    waited = []
    monkeypatch.setattr(panel, "show", lambda: waited.append(shown()))
    drop.receive({"end": "photos"}, [])
    waited[0].result(120)
    folder = tmp_path / "home" / "photographs" / "my-..photos"
    assert sorted(p.name for p in folder.iterdir()) == ["cat", "dog"]
    assert len(list(folder.rglob("*.jpg"))) == 49
    assert not list(tmp_path.rglob("evil*"))
    assert panel.path == folder
    assert "49 photographs of 2 classes" in panel.row.result.value
    assert panel.sheet.value.count("<img") == 12
    assert "17 training, 4 validation, 4 test" in panel.sheet.value or "training" in panel.sheet.value


def test_a_contact_sheet_escapes_what_folders_are_called(tmp_path, monkeypatch):
    from explorer.data.folders import Folder
    from explorer.data.sheet import contact_sheet
    from tests.data.test_parts import folder_of

    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    root = folder_of(tmp_path / "a", {"<script>x": 20, "b & c": 20})
    sheet = contact_sheet(Folder(root, 0, 32))
    assert "<script>" not in sheet
    assert "&lt;script&gt;x" in sheet
    assert "b &amp; c" in sheet
