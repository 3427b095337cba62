import json
import re
import shutil
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from explorer.cli.main import run
from explorer.core.errors import InputError
from explorer.data.cifar import CLASSES
from explorer.data.datasets import load_dataset
from explorer.supernets.augment import augment, to_float


def test_digits_split_is_seeded_and_disjoint():
    a, b, c = load_dataset("digits", 0), load_dataset("digits", 0), load_dataset("digits", 1)
    assert torch.equal(a.train.images, b.train.images)
    assert not torch.equal(a.train.images, c.train.images)
    assert [len(s) for s in (a.train, a.val, a.test)] == [1077, 360, 360]
    assert (a.channels, a.size, len(a.classes)) == (1, 8, 10)


def test_fashion_mnist_where_it_is_installed():
    from explorer.data.datasets import DEBIAN_FASHION

    if not DEBIAN_FASHION.is_dir():
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    images = load_dataset("fashion-mnist")
    assert [len(s) for s in (images.train, images.val, images.test)] == [55000, 5000, 10000]
    assert images.train.images.shape[1:] == (1, 28, 28)
    assert torch.bincount(images.test.labels).tolist() == [1000] * 10


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_absent_images_name_both_ways(name, monkeypatch, tmp_path):
    monkeypatch.setenv("EXPLORER_FASHION_MNIST", str(tmp_path))
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))

    def offline(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(f"torchvision.datasets.{'FashionMNIST' if name == 'fashion-mnist' else 'CIFAR10'}", offline)
    monkeypatch.delenv("EXPLORER_CIFAR10", raising=False)
    with pytest.raises(
        InputError, match=r"connect to the internet, or (install Debian's package|set EXPLORER_CIFAR10)"
    ) as e:
        load_dataset(name)
    assert "\n" not in str(e.value)


def test_cifar10_from_photographs(reference, monkeypatch, tmp_path):
    archive = reference("cifar10") / "cifar10.zip"
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))
    monkeypatch.setenv("EXPLORER_CIFAR10", str(archive))
    images = load_dataset("cifar10", 3)
    assert [len(s) for s in (images.train, images.val, images.test)] == [45000, 5000, 5000]
    assert torch.bincount(images.test.labels).tolist() == [500] * 10
    with zipfile.ZipFile(archive) as opened:
        names = sorted(n for n in opened.namelist() if n.startswith("test/frog/") and n.endswith(".jpg"))
        with opened.open(names[0]) as file:
            pixels = np.asarray(Image.open(file).convert("RGB")).transpose(2, 0, 1)
    frogs = images.test.images[images.test.labels == images.classes.index("frog")].numpy()
    assert (frogs == pixels).all((1, 2, 3)).sum() == 1  # as it is: neither scaled nor cut
    again = load_dataset("cifar10", 3)
    assert torch.equal(again.val.images, images.val.images)


def test_what_is_not_cifar10_is_said(monkeypatch, tmp_path):
    def asked(path):
        monkeypatch.setenv("EXPLORER_CIFAR10", str(path))
        with pytest.raises(InputError, match="^EXPLORER_CIFAR10=") as error:
            load_dataset("cifar10")
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "does not exist" in asked(tmp_path / "absent")
    assert "expected train/CLASS and test/CLASS" in asked(_folder(tmp_path / "two"))
    for part in ("train", "test"):
        _folder(tmp_path / "large" / part, CLASSES, 2, size=(40, 40))
    assert "32 x 32" in asked(tmp_path / "large")
    for part in ("train", "test"):
        _folder(tmp_path / "few" / part, CLASSES, 3, size=(32, 32))
    assert "30 training photographs; at least 10,000 are needed" in asked(tmp_path / "few")


def _folder(path, classes=("cat", "dog"), count=12, mode="RGB", size=(20, 14)):
    rng = np.random.default_rng(0)
    for c in classes:
        (path / c).mkdir(parents=True)
        for i in range(count):
            shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
            Image.fromarray(rng.integers(0, 255, shape, np.uint8), mode).save(path / c / f"{i}.png")
    return path


def test_a_folder_of_any_size_and_class_count(tmp_path):
    images = load_dataset(f"folder:{_folder(tmp_path / 'a', ('x', 'y', 'z'))}")
    assert images.classes == ("x", "y", "z")
    assert (images.channels, images.size) == (3, 32)
    assert len(images.train) + len(images.val) + len(images.test) == 36
    grey = load_dataset(f"folder:{_folder(tmp_path / 'b', mode='L')}", size=8)
    assert (grey.channels, grey.size) == (1, 8)


def test_bad_folders_are_said_plainly(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_dataset(f"folder:{tmp_path / 'absent'}")
    (tmp_path / "empty" / "a").mkdir(parents=True)
    with pytest.raises(InputError, match="has no images"):
        load_dataset(f"folder:{tmp_path / 'empty'}")
    with pytest.raises(InputError, match=r"one class only \('cat'\)"):
        load_dataset(f"folder:{_folder(tmp_path / 'one', ('cat',))}")
    broken = _folder(tmp_path / "broken")
    (broken / "cat" / "bad.png").write_bytes(b"not an image")
    (broken / "dog" / "cut.png").write_bytes((broken / "dog" / "0.png").read_bytes()[:60])
    with pytest.raises(InputError, match=r"2 file\(s\).*cat/bad.png, dog/cut.png"):
        load_dataset(f"folder:{broken}")


def test_unknown_names():
    with pytest.raises(InputError, match="unknown data set 'mnist'"):
        load_dataset("mnist")
    with pytest.raises(InputError, match="unknown split 'dev'"):
        load_dataset("digits").split("dev")


def test_augmentation_moves_every_image_by_its_own_draw():
    images = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(32, 1, 8, 8)
    same = augment(images, torch.Generator().manual_seed(0), False, 0, 0)
    assert torch.equal(same, to_float(images))
    moved = augment(images, torch.Generator().manual_seed(0), True, 2, 3)
    assert torch.equal(moved, augment(images, torch.Generator().manual_seed(0), True, 2, 3))
    assert len({row.numpy().tobytes() for row in moved}) > 20


@pytest.mark.parametrize(("mode", "dark", "bright"), [("I;16", 2_000, 40_000), ("I", 10, 4_095), ("F", 0.1, 0.9)])
def test_images_of_more_than_eight_bits_keep_their_range(mode, dark, bright, tmp_path):
    for name, level in (("dark", dark), ("bright", bright)):
        (tmp_path / name).mkdir()
        for i in range(12):
            pixels = np.full((9, 9), level, {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode])
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.{'png' if mode == 'I;16' else 'tif'}")
    images = load_dataset(f"folder:{tmp_path}", size=8)
    assert images.channels == 1
    for split in (images.train, images.val, images.test):
        for x, y in zip(split.images, split.labels):
            level = bright if images.classes[int(y)] == "bright" else dark
            assert abs(float(x.float().mean()) - 255 * level / bright) <= 1
    nothing = np.full((9, 9), np.nan, np.float32)
    Image.fromarray(nothing).save(tmp_path / "dark" / "nan.tif")
    with pytest.raises(InputError, match=r"1 file\(s\).*dark/nan\.tif"):
        load_dataset(f"folder:{tmp_path}", size=8)


def test_a_study_of_other_images_says_so(tmp_path, quick_recipe):
    """One renamed file changes the split: what was trained on may be tested on."""
    import explorer

    folder = _folder(tmp_path / "a", count=40)
    study = explorer.train(quick_recipe, tmp_path / "study", data=f"folder:{folder}")
    assert len(study.images.train)
    (folder / "cat" / "0.png").rename(folder / "cat" / "zzz.png")
    with pytest.raises(InputError, match="are not those that study"):
        _ = explorer.open_study(tmp_path / "study").images


def test_photographs_that_moved_are_named_and_compared(tmp_path, quick_recipe, capsys):
    """A study finds its images in a new place; with one more photograph, weights go out on request only, and unchecked."""
    import explorer

    folder = _folder(tmp_path / "a", count=40)
    study = explorer.train(quick_recipe, tmp_path / "study", data=f"folder:{folder}")
    key, name = study.evaluations["key"][0], str(study.folder)
    before = study.evaluate([study.architecture(key)])[0]
    folder.rename(tmp_path / "moved")
    new = f"folder:{tmp_path / 'moved'}"
    one = ["--architecture", key]
    assert run(["evaluate", name, *one]) == 2
    assert re.search(
        r"cannot be read: .*does not exist; if they were moved.*--data folder:PATH", capsys.readouterr().err
    )
    assert run(["evaluate", name, *one, "--data", new, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == before
    assert run(["export", name, *one, "--data", new, "--out", str(tmp_path / "same")]) == 0
    assert "test accuracy" in capsys.readouterr().out
    shutil.copyfile(tmp_path / "moved" / "cat" / "0.png", tmp_path / "moved" / "cat" / "one-more.png")
    assert run(["export", name, *one, "--data", new, "--out", str(tmp_path / "no")]) == 2
    assert re.search(
        r"not those that study .*: their pixels have another mean.*export with --unchecked", capsys.readouterr().err
    )
    assert not (tmp_path / "no").exists()
    formats = ["--format", "onnx", "--format", "int8"]
    assert run(["export", name, *one, "--data", new, "--unchecked", "--out", str(tmp_path / "yes"), *formats]) == 0
    said = capsys.readouterr().out
    assert "Unchecked: the images used" in said
    assert "test accuracy 1" not in said
    (card,) = (tmp_path / "yes").glob("*.md")
    assert "Unchecked: the images used" in card.read_text()
    assert "test accuracy, measured" not in card.read_text()
    (tmp_path / "moved" / "fox").mkdir()
    shutil.copyfile(tmp_path / "moved" / "cat" / "0.png", tmp_path / "moved" / "fox" / "0.png")
    assert run(["export", name, *one, "--data", new, "--unchecked", "--out", str(tmp_path / "never")]) == 2
    assert "3 classes" in capsys.readouterr().err


def test_what_macos_adds_to_an_archive_is_no_class(tmp_path):
    folder = _folder(tmp_path / "a")
    (folder / "__MACOSX" / "cat").mkdir(parents=True)
    (folder / "__MACOSX" / "cat" / "._0.png").write_bytes(b"notes")
    (folder / "cat" / "._0.png").write_bytes(b"notes")
    images = load_dataset(f"folder:{folder}")
    assert images.classes == ("cat", "dog")
    assert len(images.train) + len(images.val) + len(images.test) == 24
