"""`predict.py` beside an exported network sees a photograph as the training did."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from PIL import Image

import explorer
from explorer.data import load_dataset
from explorer.data.reading import read_image
from tests.data.test_parts import smooth

TURN = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Two classes of photographs: warm and cold; some are turned by their tag, some transparent or grey."""
    root = tmp_path_factory.mktemp("photographs")
    for name, channel in (("warm", 0), ("cold", 2)):
        (root / name).mkdir()
        for i in range(24):
            pixels = np.asarray(smooth(hash((channel, i)) % 9999, (64, 48)), np.uint8).copy()
            pixels[..., channel] = 255 - pixels[..., channel] // 4
            image = Image.fromarray(pixels)
            if i % 4 == 1:
                tag = (3, 6, 8)[i % 3]
                exif = Image.Exif()
                exif[0x0112] = tag
                image.transpose(TURN[tag]).save(root / name / f"{i}.jpg", exif=exif, quality=95)
            elif i % 4 == 2:
                image.putalpha(200)
                image.save(root / name / f"{i}.png")
            else:
                image.save(root / name / f"{i}.webp", quality=95)
    return root


@pytest.fixture(scope="module")
def exported(photographs, quick_recipe, tmp_path_factory, monkeypatch_module):
    monkeypatch_module.setenv("EXPLORER_HOME", str(tmp_path_factory.mktemp("home")))
    study = explorer.train(quick_recipe, tmp_path_factory.mktemp("s") / "study", data=f"folder:{photographs}")
    candidate = study.generate({study.targets[0]: study.knee(study.targets[0])})
    return study, candidate, explorer.export(study, candidate, tmp_path_factory.mktemp("out") / "net")


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_it_says_what_the_network_says(exported, photographs):
    """Every photograph of the data set, whatever its form: the class of the network on the pixels of the training."""
    study, candidate, bundle = exported
    files = sorted(photographs.rglob("*.*"))
    done = subprocess.run([sys.executable, str(bundle.files["predict"]), *map(str, files)], capture_output=True,
                          text=True, check=True)  # fmt: skip
    said = dict(line.rsplit(": ", 1) for line in done.stdout.splitlines())
    import torch

    network, size = study.network(candidate.architecture), study.manifest.data.size
    names = study.manifest.data.classes
    for file in files:
        pixels = read_image(file, size)[0]
        top, left = (pixels.shape[0] - size) // 2, (pixels.shape[1] - size) // 2
        x = torch.from_numpy(pixels[top : top + size, left : left + size].copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            shares = network(x).softmax(1)[0]
        assert said[str(file)] == f"{names[int(shares.argmax())]} ({shares.max():.0%})", file


def test_it_needs_no_package_of_ours(exported):
    text = exported[2].files["predict"].read_text()
    modules = {line.split()[1].split(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    modules -= {"pillow_heif"}  # only where it is installed
    assert modules == {"sys", "pathlib", "numpy", "onnxruntime", "PIL"}


def test_the_file_and_the_card_state_the_preprocessing(exported):
    study, _, bundle = exported
    facts = {p.key: p.value for p in onnx.load(bundle.files["onnx"]).metadata_props}
    prepared = json.loads(facts["preprocessing"])
    size = study.manifest.data.size
    assert prepared["shorter_side"] == round(size * 8 / 7)
    assert prepared["crop"] == f"the middle {size} x {size}"
    assert json.loads(bundle.files["card"].read_text())["preprocessing"] == prepared
    card = bundle.files["readme"].read_text()
    assert f"shorter side scaled to {prepared['shorter_side']} px" in card
    assert "`predict.py` does this" in card


def test_turned_by_tag_is_the_same_photograph(photographs, tmp_path, exported):
    """A lossless copy that is turned by its tag gives equal pixels, so equal accuracy everywhere."""
    for name in ("warm", "cold"):
        for split in ("a", "b"):
            (tmp_path / split / name).mkdir(parents=True)
        for i in range(24):
            image = smooth(1000 + i + 100 * (name == "cold"), (64, 48))
            image.save(tmp_path / "a" / name / f"{i}.png")
            tag = (3, 6, 8)[i % 3]
            exif = Image.Exif()
            exif[0x0112] = tag
            image.transpose(TURN[tag]).save(tmp_path / "b" / name / f"{i}.png", exif=exif)
    a, b = (load_dataset(f"folder:{tmp_path / s}", size=32) for s in ("a", "b"))
    for x, y in ((a.train, b.train), (a.val, b.val), (a.test, b.test)):
        assert np.array_equal(x.images.numpy(), y.images.numpy())
    assert a.fingerprint == b.fingerprint


def test_other_data_sets_have_no_such_program(digits_study, tmp_path):
    candidate = digits_study.generate({"mobile": digits_study.knee("mobile")})
    bundle = explorer.export(digits_study, candidate, tmp_path / "net")
    assert "predict" not in bundle.files
    assert not (tmp_path / "net" / "predict.py").exists()
