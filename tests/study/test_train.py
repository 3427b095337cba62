import hashlib
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import explorer
from explorer.core.errors import InputError
from explorer.study import open_study


def hashes(folder):
    return {
        p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def test_a_study_is_complete_and_opens(quick_study):
    names = set(hashes(quick_study.folder))
    assert {"study.json", "recipe.toml", "README.md", "supernet.safetensors", "predictor.onnx", "evaluations.csv",
            "generator-pnag.onnx", "generator-pnag.safetensors", "generator-expert.onnx", "front-mobile.csv", "devices/cpu.json"} <= names  # fmt: skip
    assert not any("checkpoint" in name or name.endswith(".tmp") for name in names)
    assert set(quick_study.evaluations["source"]) == {"sample", "front"}


def test_the_same_seed_gives_the_same_files(quick_study, quick_recipe, tmp_path):
    explorer.train(quick_recipe, tmp_path / "again")
    assert hashes(tmp_path / "again") == hashes(quick_study.folder)


def test_nothing_depends_on_test_images_but_the_figures_that_are_reported(
    quick_study, quick_recipe, tmp_path, monkeypatch
):
    from explorer.data import load_dataset
    from explorer.data.datasets import Split
    from explorer.study import train as module

    def scrambled(*arguments):
        images = load_dataset(*arguments)
        return replace(images, test=Split(255 - images.test.images, images.test.labels.flip(0)))

    monkeypatch.setattr(module, "load_dataset", scrambled)
    made = explorer.train(quick_recipe, tmp_path / "scrambled")
    assert max(r.test for r in made.manifest.reported) < 0.5  # the other test images were in use
    ours, theirs = hashes(quick_study.folder), hashes(made.folder)
    assert {name for name in ours | theirs if ours.get(name) != theirs.get(name)} == {"study.json", "README.md"}
    assert [(r.role, r.key, r.val) for r in made.manifest.reported] == [
        (r.role, r.key, r.val) for r in quick_study.manifest.reported
    ]


def test_measured_accuracy_is_that_of_the_table(quick_study):
    row = quick_study.evaluations.iloc[3]
    measured = quick_study.evaluate([quick_study.architecture(row["key"])])
    assert measured[0] == pytest.approx(row["accuracy"], abs=1e-6)
    test = {r.key: r.test for r in quick_study.manifest.reported}
    key = quick_study.manifest.reported[0].key
    assert quick_study.evaluate([quick_study.architecture(key)], "test")[0] == pytest.approx(test[key])


def test_killed_at_random_moments_it_resumes_to_the_same_files(quick_study, quick_recipe, tmp_path):
    seed = 20261122
    print("seed", seed)
    draw, out = random.Random(seed), tmp_path / "killed"
    line = [
        sys.executable,
        "-c",
        "from explorer.cli import main; main()",
        "train",
        str(quick_recipe),
        "--out",
        str(out),
    ]
    for _ in range(6):
        process = subprocess.Popen([*line, "--resume"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(draw.uniform(4, 9))
        process.send_signal(signal.SIGKILL)
        process.wait()
    finished = subprocess.run([*line, "--resume"], capture_output=True, text=True, timeout=300)
    assert finished.returncode == 0, finished.stderr
    left = {name: h for name, h in hashes(out).items() if not name.endswith(".tmp")}
    assert left == hashes(quick_study.folder)


def test_a_second_process_is_told(quick_recipe, tmp_path, command):
    out = tmp_path / "held"
    line = [sys.executable, "-m", "explorer", "train", str(quick_recipe), "--out", str(out)]
    first = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (out / ".lock").exists():
        assert first.poll() is None
        time.sleep(0.1)
    second = command("train", quick_recipe, "--out", out, "--resume")
    assert second.returncode == 2
    assert "another process is using" in second.stderr
    first.kill()
    first.wait()
    assert command("train", quick_recipe, "--out", out, "--resume").returncode == 0
    assert not (out / ".lock").exists()


def test_out_folders_are_guarded(quick_study, quick_recipe, tmp_path):
    with pytest.raises(InputError, match="not empty; add --resume"):
        explorer.train(quick_recipe, quick_study.folder)
    assert explorer.train(quick_recipe, quick_study.folder, resume=True).name == quick_study.name
    with pytest.raises(InputError, match="belongs to another recipe"):
        explorer.train("digits", quick_study.folder, resume=True)
    (tmp_path / "x").write_text("")
    with pytest.raises(InputError, match="is a file"):
        explorer.train(quick_recipe, tmp_path / "x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.txt").write_text("")
    with pytest.raises(InputError, match="there is no run to resume"):
        explorer.train(quick_recipe, tmp_path / "d", resume=True)


def test_an_unfinished_study_says_how_to_go_on(quick_recipe, tmp_path):
    (tmp_path / "recipe.toml").write_text("")
    with pytest.raises(InputError, match="--resume"):
        open_study(tmp_path)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("data = ", "not valid TOML"), ('space = "mobile-tiny"', "data"),
        ('data = "digits"\nspace = "huge"', "unknown space 'huge'"),
        ('data = "digits"\nspace = "mobile-tiny"\ngenerators = true', "valid list"),
        ('data = "digits"\nspace = "mobile-tiny"\ngenerators = [1]', "generators.0 = "),
        ('data = "digits"\nspace = "mobile-tiny"\ncolour = 1', "unknown key 'colour'; choose from: title"),
        ('data = "digits"\nspace = "mobile-tiny"\n[supernet]\nepoch = 1', "unknown key 'supernet.epoch'; choose from: epochs"),
        ('data = "digits"\nspace = "mobile-tiny"\n[supernet]\nepochs = -1', "supernet.epochs = '-1'"),
        ('data = "digits"\nspace = "mobile-tiny"\ndevices = ["phone"]', "unknown device 'phone'"),
    ],
)  # fmt: skip
def test_bad_recipes_are_one_plain_line_and_nothing_is_written(text, word, tmp_path, command):
    recipe = tmp_path / "r.toml"
    recipe.write_text(text)
    done = command("train", recipe, "--out", tmp_path / "out")
    assert done.returncode == 2
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_own_images_make_a_study(tmp_path, quick_recipe, monkeypatch):
    """Its images are found from any working directory, and a recipe may take some of them only."""
    from PIL import Image
    from sklearn.datasets import load_digits

    raw = load_digits()
    for i in range(240):
        folder = tmp_path / "photos" / f"class {raw.target[i] % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.uint8(raw.images[i] * 15)).resize((20, 20)).save(folder / f"{i}.png")
    recipe = tmp_path / "some.toml"
    recipe.write_text(f"train_images = 150\n{quick_recipe.read_text()}")
    monkeypatch.chdir(tmp_path)
    study = explorer.train(recipe, tmp_path / "own", data="folder:photos")
    monkeypatch.chdir("/")
    assert study.manifest.title == "folder:photos"
    assert (study.manifest.data.train, len(study.images.train)) == (150, 150)
    reported = study.manifest.reported[0]
    assert study.evaluate([study.architecture(reported.key)])[0] == pytest.approx(reported.val)
    assert study.manifest.data.classes == ["class 0", "class 1", "class 2"]
    assert study.generate({"cpu": study.knee("cpu")}).feasible


UNIFIED = """
title = "Unified"
data = "digits"
space = "unified-32"
generators = ["sgnas"]
train_images = 200
devices = ["mobile", "macs_m"]
[supernet]
epochs = 0.3
batch = 16
rule = "forced"
[scores]
architectures = 20
val_images = 50
calibration_images = 32
front_architectures = 0
[predictor]
epochs = 5
members = 1
[search]
evaluations = 100
[sgnas]
steps = 3
judged = 100
images = 8
"""


def test_a_new_device_is_learned_from_what_the_recipe_learned_from(tmp_path):
    (tmp_path / "unified.toml").write_text(UNIFIED)
    study = explorer.train(tmp_path / "unified.toml", tmp_path / "study")
    assert study.generator("sgnas").about["judge"] == "supernet"
    device = explorer.load_device("board=gpu")
    wider = study.with_device(device, retrain=True)
    assert wider.generator("sgnas").about["judge"] == "supernet"
    assert wider.generator("sgnas").about["devices"] == ["mobile", "board", "macs_m"]
