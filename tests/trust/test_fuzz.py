"""Broken and hostile input of every reader: an answer or one plain line, never a traceback, never a hang.

Real files are bent in places (bytes, lines, values); `EXPLORER_FUZZ=5000 pytest tests/trust/test_fuzz.py` tries longer.
"""

import json
import os
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import explorer
from explorer.cli.wishes import parse_budget
from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.files import data_folder, sha256
from explorer.core.layer import Layer
from explorer.data.datasets import load_dataset
from explorer.devices import load_device
from explorer.devices.formats import read_blocks, read_measurements
from explorer.spaces import SPACES
from explorer.study import open_study
from explorer.study.recipe import load_recipe
from explorer.widgets import DashboardState
from explorer.widgets.sentences import summary
from tests.trust.reliability import TRIED

fuzz = settings(
    max_examples=int(os.environ.get("EXPLORER_FUZZ", "25")),
    deadline=5000,
    derandomize="EXPLORER_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
ODD = [
    None, True, -1, 0, 1e308, -1e308, 2**70, 0.5, "", "nan", "../../etc/passwd", "<script>alert(1)</script>", "é\u202e\x00", [], {},
    [[]] * 3, {"a": {"b": []}}, "9" * 5000, float("nan"), float("inf"),
]  # fmt: skip


@st.composite
def bent(draw, content: bytes):
    """Bytes of a real file with one to four places cut, doubled, flipped or overwritten."""
    out = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(out) - 1)))
        what = draw(st.sampled_from(["cut", "double", "flip", "write", "end"]))
        length = draw(st.integers(1, 40))
        if what == "cut":
            del out[at : at + length]
        elif what == "double":
            out[at:at] = out[at : at + length] * draw(st.integers(1, 30))
        elif what == "flip" and out:
            out[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "write":
            out[at : at + length] = draw(
                st.sampled_from([b"-1", b"nan", b"1e999", b"\x00\xff", b"[[[[", b"0", b'"', b"\n"])
            )
        else:
            del out[at:]
    return bytes(out)


@st.composite
def bent_values(draw, value):
    """A nested value with one leaf, key or list exchanged for something odd."""
    value = json.loads(json.dumps(value))
    places = []

    def walk(node):
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], (dict, list)) and node[key]:
                walk(node[key])

    walk(value)
    for _ in range(draw(st.integers(1, 3))):
        node, key = draw(st.sampled_from(places))
        what = draw(st.sampled_from(["odd", "drop", "extra"]))
        try:
            if what == "odd":
                node[key] = draw(st.sampled_from(ODD))
            elif what == "drop":
                del node[key]
            elif isinstance(node, dict):
                node["surprise"] = draw(st.sampled_from(ODD))
            else:
                node.append(draw(st.sampled_from(ODD)))
        except (KeyError, IndexError):
            pass  # that place went with another
    return value


def said(run) -> None:
    """It answers, or refuses in one plain line."""
    TRIED["inputs"] += 1
    line = "fine"
    try:
        run()
    except InputError as error:
        line = str(error)
    assert line.strip()
    assert len(line) < 2000, line[:300]


OFA_TABLE = b"""
expanded_conv-input:56x56x24-output:56x56x24-expand:3-kernel:3-stride:1-idskip:1-se:0-hs:0: {mean: 0.7, std: 0.1, count: 3}
Conv-input:224x224x3-output:112x112x16: {mean: 1.1}
Logits-input:7x7x160-output:1000: {mean: 0.3}
"""
BLOCKS = b"""op,cin,cout,size,kernel,stride,mid,se,act,residual,latency_ms
conv,3,16,32,3,2,,,relu,,0.1
mbconv,16,16,16,5,1,48,0,relu,1,0.2
"""


def rows(space, n=4):
    codes = space.sample(n, np.random.default_rng(0))
    lines = [f"{Architecture(space, row).key},{i + 1}.5" for i, row in enumerate(codes)]
    return ("key,latency_ms\n" + "\n".join(lines)).encode()


TINY = SPACES["mobile-tiny"]
FILES = {
    "recipe.toml": (lambda p: load_recipe(p), (Path(explorer.__file__).parent / "recipes" / "digits.toml").read_bytes()),
    "device.json": (lambda p: load_device(p).cost(TINY, TINY.sample(3, np.random.default_rng(0))),
                    (data_folder("devices") / "cpu.json").read_bytes()),
    "table.yaml": (lambda p: read_blocks(p), OFA_TABLE),
    "blocks.csv": (lambda p: read_blocks(p), BLOCKS),
    "networks.csv": (lambda p: read_measurements(p, TINY), rows(TINY)),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
@fuzz
@given(data=st.data())
def test_files_that_are_bent(name, data, tmp_path_factory):
    read, content = FILES[name]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data.draw(bent(content)))
    said(lambda: read(path))


@fuzz
@given(data=st.data())
def test_recipes_with_odd_values(data, tmp_path_factory):
    values = tomllib.loads((Path(explorer.__file__).parent / "recipes" / "fashion-mnist.toml").read_text())
    path = tmp_path_factory.getbasetemp() / "odd.toml"
    values = data.draw(bent_values(values))
    try:
        path.write_text(tomli_w.dumps(values))
    except (TypeError, ValueError, UnicodeError):
        return  # TOML has no such value
    said(lambda: load_recipe(path))


@pytest.mark.parametrize("name", ["cpu", "mobile", "gpu"])
@fuzz
@given(data=st.data())
def test_devices_with_odd_values(name, data, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "odd.json"
    path.write_text(
        json.dumps(data.draw(bent_values(json.loads((data_folder("devices") / f"{name}.json").read_text()))))
    )

    def use():
        costs = load_device(path).cost(TINY, TINY.sample(3, np.random.default_rng(0)))
        assert np.isfinite(costs).all()
        assert (costs > 0).all()

    said(use)


class Files(dict):
    """Name -> bytes, too many to print."""

    def __repr__(self) -> str:
        return f"{len(self)} files"


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A study that may be bent; gives its folder and what every file was."""
    folder = tmp_path_factory.mktemp("bent") / "digits"
    shutil.copytree(data_folder("studies") / "digits", folder)
    return folder, Files({p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()})


def use_study(folder):
    """What a page does with a study."""
    study = open_study(folder)
    for target in study.targets:
        study.front(target)
        study.searched(target)
        study.generate({target: study.budget_range(target)[0] * 1.5})


@fuzz
@given(data=st.data())
def test_manifests_with_odd_values(data, copied):
    folder, files = copied
    values = data.draw(bent_values(json.loads(files["study.json"])))
    (folder / "study.json").write_text(json.dumps(values))
    try:
        said(lambda: use_study(folder))
    finally:
        (folder / "study.json").write_bytes(files["study.json"])


@pytest.mark.parametrize("name", ["evaluations.csv", "predictor.onnx", "generator-expert.onnx", "searched-mobile.csv",
                                  "devices/mobile.json"])  # fmt: skip
@fuzz
@given(data=st.data())
def test_files_of_a_study_that_are_bent(name, data, copied):
    """Whoever bends a file may also write its hash anew."""
    folder, files = copied
    manifest = json.loads(files["study.json"])
    (folder / name).write_bytes(data.draw(bent(files[name])))
    if data.draw(st.booleans()):
        manifest["files"][name] = sha256(folder / name)
    (folder / "study.json").write_text(json.dumps(manifest))
    try:
        said(lambda: use_study(folder))
    finally:
        (folder / name).write_bytes(files[name])
        (folder / "study.json").write_bytes(files["study.json"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of images, and what one of each format was."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(0).integers(0, 255, (24, 9, 9, 3), np.uint8)
    for i, one in enumerate(pixels):
        path = folder / "ab"[i % 2] / f"{i}.{('png', 'jpg', 'gif', 'bmp', 'tiff', 'webp')[i % 6]}"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(one).save(path)
    return folder, Files({p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.*"))[:12]})


@fuzz
@given(data=st.data())
def test_images_that_are_bent(data, pictures):
    folder, files = pictures
    name = data.draw(st.sampled_from(sorted(files)))
    (folder / name).write_bytes(data.draw(bent(files[name])))
    try:
        said(lambda: load_dataset(f"folder:{folder}", size=8))
    finally:
        (folder / name).write_bytes(files[name])


text = st.one_of(st.text(max_size=80), st.from_regex(r"a[0-9]{5,30}"), st.sampled_from([str(v) for v in ODD]))


@fuzz
@given(text)
def test_keys_and_signatures(word):
    for space in ("mobile-tiny", "mobile-32", "unified-32"):
        said(lambda name=space: Architecture.from_key(SPACES[name], word))
    said(lambda: Layer.of_signature(word))


@fuzz
@given(st.lists(st.tuples(text, text).map("=".join) | text, max_size=4))
def test_budgets_of_the_command(items):
    said(lambda: parse_budget(items))


QUERY = "chart=cpu&generator=pnag&budget-mobile=0.12&budget-gpu=0.05&log=1&shown=searched&pins=a0000000000&picked=a0000000010"


@fuzz
@given(st.one_of(bent(QUERY.encode()).map(lambda b: b.decode(errors="replace")), text))
def test_addresses_of_the_page(query):
    state = DashboardState(open_study("digits"))
    said(lambda: state.restore(query))
    summary(state)


@fuzz
@given(st.data())
def test_configurations_of_once_for_all(data):
    space = SPACES["mobilenetv3-w1.0"]
    config = space.to_ofa(Architecture(space, space.sample(1, np.random.default_rng(0))[0]))
    said(lambda: space.from_ofa(data.draw(bent_values(config))))
