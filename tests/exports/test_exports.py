import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import explorer
from explorer.cli.main import run
from explorer.exports import ExportError
from explorer.supernets.augment import to_float


@pytest.fixture(scope="module")
def bundle(digits_study, tmp_path_factory):
    candidate = digits_study.generate({"cpu": digits_study.knee("cpu")})
    return candidate, explorer.export(digits_study, candidate, tmp_path_factory.mktemp("e") / "out")


def test_exported_is_original_on_real_images(bundle, digits_study):
    candidate, made = bundle
    data = digits_study.images.test
    run = ort.InferenceSession(str(made.files["onnx"]))
    logits = run.run(["logits"], {"images": to_float(data.images).numpy()})[0]
    from explorer.evaluators.shared_weights import logits as original

    expected = original(digits_study.network(candidate.architecture), data).numpy()
    assert (logits.argmax(1) == expected.argmax(1)).all()
    assert np.abs(logits - expected).max() <= 1e-4
    assert made.check["test_accuracy"] == pytest.approx((logits.argmax(1) == data.labels.numpy()).mean())
    one = run.run(None, {"images": to_float(data.images[:1]).numpy()})[0]
    assert one.shape == (1, 10)


def test_the_file_says_what_it_is(bundle, digits_study):
    candidate, made = bundle
    model = onnx.load(str(made.files["onnx"]))
    about = {p.key: p.value for p in model.metadata_props}
    assert about["study"] == digits_study.name
    assert about["architecture"] == candidate.key
    assert json.loads(about["classes"]) == digits_study.manifest.data.classes
    assert set(json.loads(about["costs"])) == set(digits_study.devices)
    card = json.loads(made.files["card"].read_text())
    assert card["costs"]["mobile"]["provenance"].startswith("modelled")
    assert candidate.key in made.files["readme"].read_text()
    assert len(list(made.folder.iterdir())) == 3


def test_a_network_that_differs_is_not_exported(digits_study, tmp_path, monkeypatch):
    import torch

    from explorer.exports.original import Original

    whole = Original.fused

    def spoilt(self):
        network = whole(self)
        with torch.no_grad():
            network.block("classifier").weight[0] += 0.5
        return network

    monkeypatch.setattr(Original, "fused", spoilt)
    with pytest.raises(ExportError, match="differs from the original"):
        explorer.export(digits_study, digits_study.generate({"cpu": 0.02}), tmp_path / "x")
    assert not (tmp_path / "x").exists()


@pytest.fixture(scope="module")
def every(digits_study, tmp_path_factory):
    candidate = digits_study.generate({"cpu": digits_study.knee("cpu")})
    formats = ["onnx", "int8", "tflite", "torch", "source"]
    return explorer.export(digits_study, candidate, tmp_path_factory.mktemp("every") / "out", formats)


def test_every_format_is_written_checked_and_counted(every):
    assert every.check["same_top1"] == 1
    for name in ("onnx", "torch", "source"):
        assert every.formats[name]["max_difference"] <= 1e-4, name
    card = json.loads(every.files["card"].read_text())
    for name, found in card["formats"].items():
        assert found["bytes"] >= every.files[name].stat().st_size, name
    for name in ("onnx", "int8"):
        assert card["formats"][name]["latency_ms"] > 0
        assert card["formats"][name]["hardware"]
    assert "| int8 |" in every.files["readme"].read_text()


def test_int8_has_eight_bits_and_its_drop_is_said(every, digits_study):
    model = onnx.load(str(every.files["int8"]))
    kinds = {t.data_type for t in model.graph.initializer if len(t.dims) == 4 and t.dims[0] > 1}
    assert kinds == {onnx.TensorProto.INT8}, "every convolution's weights are int8"
    found = every.formats["int8"]
    assert found["test_accuracy"] + found["drop"] / 100 == pytest.approx(every.check["test_accuracy"])
    said = every.files["readme"].read_text()
    assert ("More than 0.5 points are lost" in said) == (found["drop"] > 0.5)
    assert found["drop"] < 5


def test_a_file_for_microcontrollers_is_checked_in_both_interpreters(every, digits_study):
    """Its numbers are those of the int8 ONNX file, so classes agree; memory and size are those of the devices."""
    from explorer.exports.tflite_files import run_tflite

    found, x = every.formats["tflite"], to_float(digits_study.images.test.images)
    assert found["micro_agrees"] >= 0.98
    assert found["micro_images"] > 50
    onnx_classes = ort.InferenceSession(str(every.files["int8"])).run(None, {"images": x.numpy()})[0].argmax(1)
    assert (run_tflite(every.files["tflite"])(x).argmax(1) == onnx_classes).mean() >= 0.99
    assert found["test_accuracy"] + found["drop"] / 100 == pytest.approx(every.check["test_accuracy"])
    row = np.array([every_choices(every, digits_study)], np.int8)
    assert found["arena_bytes"] == 1024 * explorer.load_device("ram_kb").cost(digits_study.space, row)[0]
    assert found["flash_bytes"] == pytest.approx(
        1024 * explorer.load_device("flash_kb").cost(digits_study.space, row)[0]
    )
    assert f"{found['arena_bytes']:,} bytes of RAM" in every.files["readme"].read_text()
    assert b"a pixel (0 to 255) less 128" in every.files["tflite"].read_bytes()


def every_choices(every, study):
    """The choices of the exported network."""
    return study.architecture(json.loads(every.files["card"].read_text())["architecture"]).choices


def test_files_open_in_old_runtimes_and_say_so(every):
    """IR 8 and opset 18 are what onnxruntime 1.15 reads; nothing tells of the machine that wrote the file."""
    for name in ("onnx", "int8"):
        model = onnx.load(str(every.files[name]))
        assert model.ir_version <= 8
        assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
        assert {p.key: p.value for p in model.metadata_props}["needs"].startswith("onnxruntime 1.15")
        assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
        assert "site-packages" not in str(model)
        assert every.formats[name]["needs"] in every.files["readme"].read_text()
    card = json.loads(every.files["card"].read_text())
    assert all(found["needs"] for found in card["formats"].values())


@pytest.mark.long
@pytest.mark.parametrize("version", ["1.15.0", "1.16.3", "1.17.3"])
def test_old_runtimes_give_the_same_classes(every, digits_study, tmp_path, version):
    """In a bare environment with that onnxruntime, fp32 and int8."""
    python = tmp_path / "old" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    wanted = [str(python), "-m", "pip", "install", "-q", f"onnxruntime=={version}", "numpy<2"]
    if subprocess.run(wanted, capture_output=True).returncode:
        pytest.skip(f"onnxruntime {version} cannot be installed here")
    np.save(tmp_path / "x.npy", to_float(digits_study.images.test.images).numpy())
    script = (
        "import sys, numpy as np, onnxruntime as o; x = np.load(sys.argv[1]); print(o.InferenceSession(sys.argv[2])."
    )
    script += "run(None, {'images': x})[0].argmax(1).tolist())"
    for name, least in (("onnx", 1.0), ("int8", 0.99)):
        file = str(every.files[name])
        old = subprocess.run(
            [python, "-c", script, tmp_path / "x.npy", file], capture_output=True, text=True, check=True
        )
        new = ort.InferenceSession(file).run(None, {"images": np.load(tmp_path / "x.npy")})[0].argmax(1)
        assert np.mean(np.array(json.loads(old.stdout)) == new) >= least


def test_int8_is_timed_beside_float32_and_slower_is_said(every, digits_study, tmp_path, capsys, monkeypatch):
    """With signed activations, depthwise convolutions stay in float32 (4.3 times slower); unsigned ones are all fused."""
    model = onnx.load(str(every.files["int8"]))
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    points = {kinds[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    assert points == {onnx.TensorProto.UINT8}
    fused = tmp_path / "fused.onnx"
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(fused)
    ort.InferenceSession(str(every.files["int8"]), options)
    assert "Conv" not in {node.op_type for node in onnx.load(str(fused)).graph.node}
    speed = every.formats["int8"]["speedup"]
    assert speed == pytest.approx(every.formats["onnx"]["latency_ms"] / every.formats["int8"]["latency_ms"])
    assert any("slower on this machine" in note for note in every.notes) == (speed < 1)
    monkeypatch.setattr("explorer.exports.card.SLOWER_INT8", "slower {} {} {}")
    monkeypatch.setattr("explorer.devices.measure.time_graphs", lambda sessions, rounds: (  # int8 is timed first here
        np.arange(len(sessions), 0, -1.0), np.zeros(len(sessions))
    ))  # fmt: skip
    budget = f"cpu={digits_study.knee('cpu')}"
    assert run(["export", "digits", "--budget", budget, "--format", "int8", "--out", str(tmp_path / "slow")]) == 0
    assert "slower 2.0 2.0 1.0" in capsys.readouterr().out


def test_plain_source_runs_where_this_package_is_not(every, digits_study, tmp_path, other_python):
    """A fresh environment that sees torch and safetensors, and nothing of ours."""
    data = digits_study.images.test
    np.save(tmp_path / "images.npy", to_float(data.images).numpy())
    code = f"""
import importlib.util, sys
sys.path.insert(0, {str(every.files["source"].parent)!r})
assert importlib.util.find_spec("explorer") is None
import numpy, torch
network = importlib.import_module({every.files["source"].stem!r}).load()
with torch.no_grad():
    numpy.save("logits.npy", network(torch.from_numpy(numpy.load("images.npy"))).numpy())
assert "explorer" not in sys.modules
"""
    subprocess.run([other_python.python, "-c", code], cwd=tmp_path, check=True, env={})
    logits = np.load(tmp_path / "logits.npy")
    assert (logits.argmax(1) == data.labels.numpy()).mean() == pytest.approx(every.check["test_accuracy"])


def test_only_long_fine_tuning_blanks_squares(digits_study):
    from explorer.exports.tuning import schedule

    short, long = schedule(digits_study, 19), schedule(digits_study, 20)
    assert (short.cutout, long.cutout) == (0, 2)  # of 8 pixels
    assert long.model_dump(exclude={"epochs", "cutout"}) == short.model_dump(exclude={"epochs", "cutout"})


def test_half_of_what_fine_tuning_teaches_are_labels(digits_study):
    from explorer.exports.tuning import soft_labels

    plain, mirrored = (soft_labels(digits_study, m) for m in (False, True))
    labels = digits_study.images.train.labels
    for told in (plain, mirrored):
        assert told.shape == (len(labels), 10)
        assert told.sum(1).numpy() == pytest.approx(1, abs=1e-5)
        own = told.gather(1, labels[:, None])
        assert float(own.min()) >= 0.5
        assert 0.7 < float(own.mean()) < 0.99  # the networks know most of these images, none of them for sure
    assert not plain.allclose(mirrored, atol=1e-3)


def test_fine_tuning_is_said_with_its_gain(digits_study, tmp_path):
    candidate = digits_study.generate({"cpu": digits_study.budget_range("cpu")[0]})
    made = explorer.export(digits_study, candidate, tmp_path / "out", fine_tune=2)
    card = json.loads(made.files["card"].read_text())
    tuning = card["fine_tuning"]
    assert tuning["epochs"] == 2
    assert 0.5 < tuning["val_before"] <= 1
    assert tuning["val_after"] > tuning["val_before"] - 0.02
    assert "fine-tuned for 2 epoch(s)" in card["weights"]
    assert made.files["onnx"].name.startswith("tuned-")
    assert "of fine-tuning" in made.files["readme"].read_text()


@pytest.mark.parametrize(("given", "said"), [
    ({"fine_tune": -1}, "fine_tune = -1; choose from 0 to 100"),
    ({"formats": ["coreml"]}, "'coreml'"),
])  # fmt: skip
def test_bad_wishes_are_refused_before_work(digits_study, tmp_path, given, said):
    with pytest.raises(explorer.InputError, match=said):
        explorer.export(digits_study, digits_study.generate({"cpu": 0.02}), tmp_path / "x", **given)
    assert not (tmp_path / "x").exists()
