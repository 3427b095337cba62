"""Input that is made to do harm: it opens nothing outside, runs nothing, fills no memory, and is shown as text."""

import io
import json
import resource
import struct
import tarfile
import time
import zipfile
import zlib

import ipywidgets
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from explorer.core.errors import InputError
from explorer.core.files import sha256
from explorer.data.archives import unpacked
from explorer.data.datasets import load_dataset
from explorer.devices import load_device
from explorer.devices.formats import read_blocks
from explorer.study import open_study
from explorer.study.recipe import load_recipe
from explorer.widgets import Dashboard
from tests.trust.conftest import manifest_with

SCRIPT = "<script>alert(1)</script>"


def png(width, height):
    """A small file that claims to be a picture of that size."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


def test_pictures_of_a_billion_pixels_are_refused_at_once(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(12):
            (tmp_path / name / f"{i}.png").write_bytes(png(40_000, 30_000))
    start = time.monotonic()
    with pytest.raises(InputError, match="24 file.*not readable"):
        load_dataset(f"folder:{tmp_path}")
    assert time.monotonic() - start < 10


def test_titles_and_classes_are_text_on_the_page(copied):
    about = json.loads((copied / "study.json").read_text())
    about["data"]["classes"] = [SCRIPT] * 10
    page = Dashboard(open_study(manifest_with(copied, title=SCRIPT, data=about["data"])))
    texts = [w.value for w in _all(page) if isinstance(getattr(w, "value", None), str)]
    assert any("&lt;script&gt;" in text for text in texts)
    assert not any("<script" in text for text in texts)


def _all(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _all(child)


@pytest.mark.parametrize("name", ["../outside.csv", "/etc/passwd", "devices/../../x", "a/b", "..", ""])
def test_a_manifest_names_no_file_outside(copied, name):
    with pytest.raises(InputError, match="leaves the study"):
        open_study(manifest_with(copied, files={name: "0" * 64}))


def test_a_network_reads_no_file_outside_its_study(copied, tmp_path):
    """ONNX may keep weights in other files, named inside."""
    secret = tmp_path / "secret"
    secret.write_bytes(np.ones(4096, np.float32).tobytes())
    path = copied / "predictor.onnx"
    model = onnx.load(path)
    weights = max(model.graph.initializer, key=lambda t: int(np.prod(t.dims)))
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "../secret"), ("offset", "0"), ("length", str(4 * int(np.prod(weights.dims))))):
        weights.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    files = json.loads((copied / "study.json").read_text())["files"] | {"predictor.onnx": sha256(path)}
    study = open_study(manifest_with(copied, files=files))
    with pytest.raises(InputError, match=r"predictor\.onnx"):
        study.predict(study.space.sample(2, np.random.default_rng(0)))


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz"])
def test_archives_that_unpack_to_gigabytes_are_refused_at_once(name, tmp_path, monkeypatch):
    """A megabyte that would become a gigabyte; and many members that are small each."""
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    block = b"\0" * 50_000_000
    members = {f"{i}.png": block for i in range(6)}
    path = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
            for member, content in members.items():
                out.writestr(member, content)
    else:
        with tarfile.open(path, "w:gz", compresslevel=1) as out:
            for member, content in members.items():
                about = tarfile.TarInfo(member)
                about.size = len(content)
                out.addfile(about, io.BytesIO(content))
    start = time.monotonic()
    with pytest.raises(InputError, match="holds .* bytes or more; at most"):
        unpacked(path)
    assert time.monotonic() - start < 10
    assert not list((tmp_path / "home" / "images").iterdir())
    monkeypatch.setattr("explorer.data.archives.MEMBERS", 3)
    monkeypatch.setattr("explorer.data.archives.FREE", 10**10)
    with pytest.raises(InputError, match="more than 3 files"):
        unpacked(path)


def test_files_that_claim_a_gigabyte_are_not_read(tmp_path):
    for name, read in (("table.csv", read_blocks), ("table.yaml", read_blocks), ("device.json", load_device),
                       ("recipe.toml", load_recipe)):  # fmt: skip
        with open(tmp_path / name, "wb") as file:
            file.truncate(2**30)  # takes no room on the disk
        start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(InputError):
            read(tmp_path / name)
        assert time.monotonic() - start < 5
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000, name  # kB


def test_a_name_on_the_disk_is_text_on_the_page(tmp_path, monkeypatch):
    from explorer.widgets.own_images import OwnImages

    name = "<img src=x onerror=alert(1)>"
    for part in ("a", "b"):
        (tmp_path / name / part).mkdir(parents=True)
    monkeypatch.setenv("EXPLORER_DATA_ROOT", str(tmp_path))
    panel = OwnImages(lambda _: None, lambda _: None)
    assert name in panel.source.options
    panel.row.say_text(str(tmp_path / name))
    texts = [w.value for w in _all(panel) if isinstance(w, ipywidgets.HTML)]
    assert any("&lt;img" in text for text in texts)
    assert not any("<img" in text for text in texts)
