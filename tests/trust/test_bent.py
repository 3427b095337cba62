"""What broke readers once, and may not again: every case is one plain line, at once, with little memory."""

import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import zipfile

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from explorer.cli import run
from explorer.cli.terminal import plain
from explorer.core.errors import InputError, first_line
from explorer.core.files import data_folder, read_json, sha256
from explorer.core.layer import Layer
from explorer.core.onnx_session import open_graph
from explorer.core.operators import Conv, Linear
from explorer.data.archives import unpacked
from explorer.data.datasets import load_dataset
from explorer.devices import load_device
from explorer.devices.formats import read_blocks
from explorer.devices.kit import table_of_kit
from explorer.evaluators import read_published
from explorer.evaluators.scoring import append_scores
from explorer.generators.budgets import BudgetCode
from explorer.page.publish import write_report
from explorer.plots import architecture_svg
from explorer.spaces import SPACES
from explorer.study import open_study
from explorer.study.own import delete_study, rename_study
from explorer.study.recipe import load_recipe
from explorer.supernets.checkpoint import load_checkpoint, save_tensors
from explorer.widgets.dashboard import page
from tests.trust.conftest import manifest_with

LONG = "9" * 5000
TINY = SPACES["mobile-tiny"]


@pytest.mark.parametrize("signature", [
    "mbconv 8-8 8px m8 k3x20000000+5x1 s1 relu", "mbconv 8-8 8px m8 k3x0 s1 relu", "conv 8-8 8px k+ s1 relu",
    "conv 8-8 8px k3x1x1 s1 relu", f"conv {LONG}-8 8px k3 s1 relu", "conv 8-8 8px k3 s1 relu g0", f"mbconv 8-8 8px m{LONG} k3 s1 relu",
    "conv 8-8 8px k3 s0 relu", "mbconv 8-8 8px m8 k3x999999+5x999998 s1 relu",
])  # fmt: skip
def test_signatures(signature):
    with pytest.raises(InputError, match="is not a layer"):
        Layer.of_signature(signature)


def test_a_layer_of_any_name_is_drawn():
    layers = [Conv(1, 8, 8, 3, name="evil.x\n"), Linear(8, 2, 1, name="stage9" * 50)]
    assert "evil.x" in architecture_svg(layers, np.ones(2) / 2, "mobile")


def _graph(nodes, inputs=(("bits", ["n", 20]),), outputs=(("accuracy", ["n", 4]),), weights=(), about=None):
    """Bytes of a graph that claims to be a predictor."""
    made = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in side] for side in (inputs, outputs)]
    model = helper.make_model(helper.make_graph(nodes, "g", *made, list(weights)),
                              opset_imports=[helper.make_opsetid("", 17)])  # fmt: skip
    model.ir_version = 10
    quality = about or json.dumps(
        {"half_width": 0.01, "coverage": 0.9, "held_out": 10, "kendall_tau": 0.5, "mae": 0.01}
    )
    entry = model.metadata_props.add()
    entry.key, entry.value = "quality", quality
    return model.SerializeToString()


def _weight(name, shape, value=0.1):
    return helper.make_tensor(name, TensorProto.FLOAT, shape, np.full(shape, value, np.float32).ravel())


def _linear(value=0.1):
    return {
        "nodes": [helper.make_node("MatMul", ["bits", "w"], ["accuracy"])],
        "weights": [_weight("w", (20, 4), value)],
    }


PREDICTORS = {
    "makes a terabyte": {"nodes": [helper.make_node("ConstantOfShape", ["bits"], ["accuracy"])]},
    "of another domain": {"nodes": [helper.make_node("MatMul", ["bits", "w"], ["accuracy"], domain="x")], "weights": [_weight("w", (20, 4))]},
    "a padding of a billion": {"nodes": [helper.make_node("Conv", ["bits", "w"], ["accuracy"], pads=[10**9, 10**9])], "weights": [_weight("w", (1, 1, 1))]},
    "another input": _linear() | {"inputs": (("x", ["n", 20]),), "nodes": [helper.make_node("MatMul", ["x", "w"], ["accuracy"])]},
    "no numbers": _linear(np.nan),
    "no band": _linear() | {"about": '{"half_width": NaN}'},
    "a list": _linear() | {"about": "[]"},
    "a rank too few": {"nodes": [helper.make_node("MatMul", ["bits", "w"], ["accuracy"])], "weights": [_weight("w", (20,))], "outputs": (("accuracy", ["n"]),)},
}  # fmt: skip


@pytest.mark.parametrize("name", PREDICTORS)
def test_predictors(name):
    from explorer.evaluators import Predictor

    space = TINY.for_images(1, 10, 8)
    with pytest.raises(InputError, match=r"predictor\.onnx"):
        Predictor(space, _graph(**PREDICTORS[name]))


def test_a_sound_predictor_of_that_kind_opens():
    from explorer.evaluators import Predictor

    assert np.isfinite(Predictor(TINY.for_images(1, 10, 8), _graph(**_linear())).evaluate(TINY.sample(2, np.random.default_rng(0)))).all()  # fmt: skip


def test_loops_are_no_part_of_a_graph():
    body = helper.make_graph([], "b", [], [])
    with pytest.raises(ValueError, match="Loop"):
        open_graph(_graph([helper.make_node("Loop", ["bits", ""], ["accuracy"], body=body)]))


def _generator(folder, name, **values):
    """The study with other metadata in a generator."""
    path = folder / f"generator-{name}.onnx"
    model = onnx.load(path)
    entry = next(p for p in model.metadata_props if p.key == "generator")
    entry.value = json.dumps(json.loads(entry.value) | values)
    onnx.save(model, path)
    return manifest_with(
        folder, files=json.loads((folder / "study.json").read_text())["files"] | {path.name: sha256(path)}
    )


@pytest.mark.parametrize("name", ["expert", "pnag"])
@pytest.mark.parametrize("values", [
    {"anchors": 10**8}, {"anchors": 17}, {"anchors": 1}, {"low": [0.1]}, {"low": ["a", "b", "c"]}, {"devices": [[1]]}, {"devices": []},
    {"high": [0, 0, 0]}, {"margin": "x"}, {"method": "nobody"}, {"noise": -1}, {"noise": "x"}, {"evaluations": "many"},
])  # fmt: skip
def test_generators(name, values, copied):
    study = open_study(_generator(copied, name, **values))
    with pytest.raises(InputError, match="generator"):
        study.generator(name)


def test_codes_of_budgets():
    for low, high, anchors in (
        ((0.0,), (1.0,), 4),
        ((2.0,), (1.0,), 4),
        ((1.0,), (2.0,), 10**6),
        ((1.0, 2.0), (3.0,), 4),
    ):
        with pytest.raises(ValueError, match="a range above 0"):
            BudgetCode(("mobile",), low, high, anchors)


@pytest.mark.parametrize("values", [
    {"generators": []}, {"devices": []}, {"reference": {}}, {"reference": {"mobile": [1]}}, {"seed": -1}, {"calibration_images": -1},
    {"generators": ["nobody"]}, {"devices": ["macs_m", "params_m"], "reference": {"macs_m": [1, 1], "params_m": [1, 1]}},
])  # fmt: skip
def test_manifests(values, copied):
    with pytest.raises(InputError):
        open_study(manifest_with(copied, **values))


def test_a_study_without_an_evaluation(copied):
    (copied / "evaluations.csv").write_text("key,accuracy,source\n")
    files = json.loads((copied / "study.json").read_text())["files"]
    study = open_study(manifest_with(copied, files=files | {"evaluations.csv": sha256(copied / "evaluations.csv")}))
    with pytest.raises(InputError, match="contains no evaluated architectures"):
        study.knee("mobile")


def test_manifests_whose_parts_disagree(copied):
    about = json.loads((copied / "study.json").read_text())
    for space in ({"classes": 10**400}, {"classes": 3_000_000}, {"classes": 11}, {"size": 4096}):
        with pytest.raises(InputError):
            open_study(manifest_with(copied, space=about["space"] | space))


def test_a_link_is_no_file_of_a_study(copied, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (copied / "README.md").unlink()
    (copied / "README.md").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match="is a symbolic link"):
        open_study(copied)
    files = json.loads((copied / "study.json").read_text())["files"]
    del files["README.md"]
    study = open_study(manifest_with(copied, files=files))
    assert "secret" not in write_report(study, tmp_path / "report.html").read_text()


def test_scores_are_not_appended_through_a_link(quick_study, tmp_path):
    (tmp_path / "notes").write_text("mine, without an end")
    (tmp_path / "evaluations.csv").symlink_to(tmp_path / "notes")
    codes = quick_study.space.sample(1, np.random.default_rng(0))
    with pytest.raises(InputError, match="is a symbolic link"):
        append_scores(tmp_path / "evaluations.csv", quick_study.space, codes, quick_study.predictor, "sample")
    assert (tmp_path / "notes").read_text() == "mine, without an end"


def test_published_tables_lie_below_their_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_REFERENCE", str(tmp_path))
    for name in ("/etc/passwd", "../x", "a/../../x"):
        with pytest.raises(InputError, match="is not in EXPLORER_REFERENCE"):
            read_published(name, TINY)


def test_nobody_s_home(monkeypatch, capsys):
    assert run(["generate", "~nosuchuser/x", "--budget", "mobile=1"]) == 2
    assert "no such user" in capsys.readouterr().err
    with pytest.raises(InputError, match="no such user"):
        load_dataset("folder:~nosuchuser")
    monkeypatch.setenv("QUERY_STRING", "study=~nosuchuser")
    assert "unknown study" in page().value


def test_an_address_names_studies_of_the_list_only(copied, monkeypatch):
    monkeypatch.setenv("QUERY_STRING", f"study={copied}")
    monkeypatch.delenv("EXPLORER_STUDY", raising=False)
    assert "unknown study" in page().value
    monkeypatch.setenv("EXPLORER_STUDY", str(copied))  # that is the choice of whoever serves the page
    assert hasattr(page(), "state")


def _tar_with_a_long_name(path, size):
    with gzip.open(path, "wb", compresslevel=1) as out:
        about = tarfile.TarInfo("././@LongLink")
        about.type, about.size = tarfile.GNUTYPE_LONGNAME, size
        out.write(about.tobuf())
        for _ in range(size // 10**6):
            out.write(b"a" * 10**6)
        out.write(b"\0" * 1024)


def test_archives(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    _tar_with_a_long_name(tmp_path / "a.tar.gz", 50 * 10**6)
    (tmp_path / "b.tar.xz").write_bytes(lzma.compress(os.urandom(10_000))[:5000])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as out:
        out.writestr("a/1.png", b"x" * 1000)
    (tmp_path / "c.zip").write_bytes(buffer.getvalue().replace(b"\x05\x00\x5d", b"\x05\x00\xff"))
    with zipfile.ZipFile(tmp_path / "d.zip", "w") as out:
        out.writestr("a/1.png", b"x" * 1000)
    whole = (tmp_path / "d.zip").read_bytes()
    (tmp_path / "d.zip").write_bytes(whole.replace((1000).to_bytes(4, "little"), (90_000).to_bytes(4, "little")))
    for name in ("a.tar.gz", "b.tar.xz", "c.zip", "d.zip"):
        with pytest.raises(InputError, match=rf"{name[0]}\.{name[2:]}"):
            unpacked(tmp_path / name)
    assert not list((tmp_path / "home" / "images").iterdir())


def test_names_that_are_no_utf8_and_pipes(tmp_path):
    folder = tmp_path / "images"
    for part in (b"caf\xe9", b"tea"):
        os.makedirs(os.fsencode(folder) + b"/" + part)
        (folder / os.fsdecode(part) / "x.png").write_bytes(b"x")
    with pytest.raises(InputError, match="cannot be the name of a class"):
        load_dataset(f"folder:{folder}")
    other = tmp_path / "pipes"
    for part in ("a", "b"):
        (other / part).mkdir(parents=True)
        os.mkfifo(other / part / "x.png")
    with pytest.raises(InputError, match="has no images"):
        load_dataset(f"folder:{other}")


def test_files_without_an_end(tmp_path):
    (tmp_path / "x.json").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="more than"):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize("text", [
    "op,cin,cout,size,latency_ms,image\nconv,3,8,32,1,²\n", f"op,cin,cout,size,latency_ms,image\nconv,3,8,32,1,{LONG}\n",
    "op,cin,cout,size,kernel,stride,latency_ms\nconv,3,8\n", f"op,cin,cout,size,latency_ms\n{'x' * 200_000},3,8,32,1\n",
    "op,cin,cout,size,kernel,stride,latency_ms\nconv,3,8,32,3,0,1\n", f"op,cin,cout,size,latency_ms\nconv,3,8,{LONG},1\n",
    "op,cin,cout,size,latency_ms\nconv,3,8,32,1e308\n",
])  # fmt: skip
def test_tables_of_blocks(text, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=r"t\.csv"):
        read_blocks(tmp_path / "t.csv")


@pytest.mark.parametrize("text", [
    "expanded_conv-input:8x8x8-output:8x8x8-expand:inf-kernel:3-stride:1-idskip:1: {mean: 1}\n",
    f"Conv-input:224x224x3-output:112x112x16: {{mean: {'9' * 400}}}\n", f"Conv-input:224x224x3-output:112x112x16: {{mean: 0x{'f' * 500}}}\n",
])  # fmt: skip
def test_yaml_tables(text, tmp_path):
    (tmp_path / "t.yaml").write_text(text)
    with pytest.raises(InputError, match=r"t\.yaml"):
        read_blocks(tmp_path / "t.yaml")


def test_devices(tmp_path):
    good = json.loads((data_folder("devices") / "cpu.json").read_text())
    for values in ({"blocks": {"linear 32-10 1px": 1e308}}, {"scale": 1e300}, {"offset": 1e300}):
        (tmp_path / "d.json").write_text(json.dumps(good | values))
        with pytest.raises(InputError, match=r"d\.json|device 'cpu'"):
            load_device(tmp_path / "d.json")
    (tmp_path / "d.json").write_text(json.dumps(good | {"blocks": {f"linear 32-{LONG} 1px": 1.0}}))
    with pytest.raises(InputError, match="no measurement"):
        load_device(tmp_path / "d.json").cost(TINY, TINY.sample(1, np.random.default_rng(0)))


def test_timings_of_a_kit():
    call = {"file": "a", "kind": "call", "layers": ["pool 1-1 1px"], "ms": 0.01}
    block = {"file": "b", "kind": "block", "layers": ["conv 3-8 8px k3 s1 relu"], "ms": 1.0}
    head = {"format": 1, "kind": "timings", "spaces": ["x"], "interpolates": False, "threads": 1}
    for graphs in ([call, block | {"layers": []}], [call, call | {"kind": "network"}], [call, block | {"ms": 1e-320}],
                   [call, block | {"layers": ["conv 3-8 8px k3 s0 relu"]}], [call, block | {"layers": [f"conv 3-8 {LONG}px"]}]):  # fmt: skip
        with pytest.raises(InputError):
            table_of_kit(head | {"graphs": graphs}, "mine", "timings.json")


@pytest.mark.parametrize("line", [
    ["search", "digits", "--seed", "-1"], ["search", "digits", "--seed", str(2**70)], ["rank", "mobile-tiny", "--sample", str(10**10)],
    ["rank", "mobile-tiny", "--data", "digits", "--sample", "2", "--jobs", "0"], ["device", "measure", "--space", "mobile-tiny", "--rounds", "0", "--name", "x", "--out", "x.json"],
    ["train-network", "mobile-tiny", "--data", "digits", "--architecture", "a0000000000", "--epochs", "1e308", "--out", "x"],
    ["train-network", "mobile-tiny", "--data", "digits", "--architecture", "a0000000000", "--lr", "1e30", "--out", "x"],
    ["prune", "digits", "--seed", "-1", "--out", "x"],
    ["device", "measure", "--space", "nasbench201", "--name", "x", "--out", "x.json"],
])  # fmt: skip
def test_numbers_out_of_bounds(line, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(line) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("line", [
    "devices = []", 'devices = ["macs_m"]', f"title = 0x{'f' * 5000}", f"seed = 0x{'f' * 40}", "[scores]\narchitectures = 1000000000000",
    "[predictor]\nwidth = 1000000000", "[supernet]\nshift = 1000000000", "[supernet]\nepochs = 1e308",
])  # fmt: skip
def test_recipes(line, tmp_path):
    (tmp_path / "r.toml").write_text(f'data = "digits"\nspace = "mobile-tiny"\n{line}\n')
    with pytest.raises(InputError, match=r"r\.toml"):
        load_recipe(tmp_path / "r.toml")


def test_terminals_are_not_commanded(copied, capsys):
    title = "\x1b]0;owned\x07\x1b[2J\nfake"
    assert run(["generate", str(manifest_with(copied, title=title)), "--budget", "\x1b[31mred=1"]) == 2
    assert "\x1b" not in capsys.readouterr().err
    assert plain("a\x1b[2Jé\n") == "a\\x1b[2Jé\n"


def test_saved_searches(digits_study, tmp_path):
    file = tmp_path / "s.npz"
    digits_study.search("random", devices=["mobile"], evaluations=200, file=file)
    with np.load(file) as saved:
        good = dict(saved)
    for changes in ({"codes": np.array(1)}, {"codes": good["codes"].astype(str)}, {"codes": good["codes"].astype(float)},
                    {"codes": np.full_like(good["codes"], 77)}, {"accuracy": np.full_like(good["accuracy"], np.nan)},
                    {"costs": good["costs"].astype(str)}):  # fmt: skip
        np.savez(file, **(good | changes))
        with pytest.raises(InputError):
            digits_study.search("random", devices=["mobile"], evaluations=200, file=file)


def test_checkpoints(tmp_path):
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    good = {f"model.{n}": t.detach() for n, t in model.state_dict().items()} | {"step": torch.tensor(3)}
    path = tmp_path / "c.safetensors"
    save_tensors(path, good)
    assert load_checkpoint(path, model, optimizer) == 3
    for bad in ({n: t for n, t in good.items() if n != "step"}, good | {"model.weight": torch.zeros(9)},
                good | {"step": torch.zeros(4)}, good | {"momentum.x": torch.zeros(3)}):  # fmt: skip
        save_tensors(path, bad)
        with pytest.raises(InputError, match="not a checkpoint of this training"):
            load_checkpoint(path, model, optimizer)


def test_an_error_without_words_has_a_name():
    assert first_line(EOFError()) == "EOFError"
    assert first_line(ValueError("one\ntwo")) == "one"


def test_one_s_own_studies(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))
    elsewhere, studies = tmp_path / "elsewhere", tmp_path / "studies"
    shutil.copytree(data_folder("studies") / "digits", elsewhere)
    studies.mkdir()
    (studies / "linked").symlink_to(elsewhere)
    delete_study("linked")
    assert (elsewhere / "study.json").exists()
    assert not (studies / "linked").exists()
    (studies / "odd").mkdir()
    (studies / "odd" / "study.json").write_text("[]")
    with pytest.raises(InputError, match="nothing was changed"):
        rename_study("odd", "even")
    assert (studies / "odd").exists()
