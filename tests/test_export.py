import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import explorer
from explorer.export import ExportError
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
    import importlib

    import torch

    room = importlib.import_module("explorer.export")

    def spoilt(network):
        with torch.no_grad():
            network.block("classifier").weight[0] += 0.5
        return network

    whole = room._copy
    monkeypatch.setattr(room, "_copy", lambda network: spoilt(whole(network)))
    with pytest.raises(ExportError, match="differs from the original"):
        explorer.export(digits_study, digits_study.generate({"cpu": 0.02}), tmp_path / "x")
    assert not (tmp_path / "x").exists()
