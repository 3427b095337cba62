import numpy as np
import pytest

import explorer
from explorer.core.errors import InputError
from explorer.evaluators import read_published
from explorer.spaces import SPACES
from explorer.study import open_study

SPACE = SPACES["mobile-tiny"]
HEADER = "key,top1\n"


def write(folder, rows):
    (folder / "table.csv").write_text(HEADER + "".join(f"{key},{top1}\n" for key, top1 in rows))


def test_published_rows_are_read(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_REFERENCE", str(tmp_path))
    write(tmp_path, [("a0000000000", 71.5), ("a1111112222", 80)])
    rows = read_published("table.csv", SPACE)
    assert rows.accuracy.tolist() == [0.715, 0.8]
    assert (rows.source == "published").all()
    for top1 in ("-1", "101", "nan", "", "high"):
        write(tmp_path, [("a0000000000", top1)])
        with pytest.raises(InputError, match="line 2: top1"):
            read_published("table.csv", SPACE)
    write(tmp_path, [("a", 1)])
    with pytest.raises(InputError, match="line 2"):
        read_published("table.csv", SPACE)
    with pytest.raises(InputError, match="not in EXPLORER_REFERENCE"):
        read_published("../table.csv", SPACE)
    monkeypatch.delenv("EXPLORER_REFERENCE")
    with pytest.raises(InputError, match="set EXPLORER_REFERENCE"):
        read_published("table.csv", SPACE)


RECIPE = """
title = "Published"
data = "published:table.csv"
space = "mobile-tiny"
restrict = { k = [3] }
[scores]
architectures = 60
front_architectures = 9
[predictor]
epochs = 30
members = 2
[search]
evaluations = 300
[expert]
budgets = 64
rounds = 5

[pnag]
iterations = 20
ranker_steps = 20
evaluations = 200
"""


def test_a_study_of_published_accuracies(tmp_path, monkeypatch):
    """From a table to a study that generates: its cloud is predicted, it has no weights, and it says so."""
    from explorer.core.architecture import key_of

    monkeypatch.setenv("EXPLORER_REFERENCE", str(tmp_path))
    space = SPACE.restrict({"k": [3]})
    codes = np.unique(space.sample(200, np.random.default_rng(0)), axis=0)
    write(tmp_path, [(key_of(space, row), 60 + 30 * row.mean()) for row in codes])
    (tmp_path / "recipe.toml").write_text(RECIPE)
    study = explorer.train(tmp_path / "recipe.toml", tmp_path / "out")
    assert study.name == "published"
    assert study.space.decisions["k1.1"] == (3,)
    assert not study.origin.has_weights
    assert set(study.evaluations["source"]) == {"predicted"}
    assert study.generate({"mobile": study.knee("mobile")}).feasible
    card = (study.folder / "README.md").read_text()
    assert "**predicted**" in card
    assert "measured with inherited weights" not in card
    for attempt in (lambda: study.supernet, lambda: study.images, lambda: study.evaluate(codes[:1])):
        with pytest.raises(InputError, match="no (trained weights|images)"):
            attempt()
    first = {p.name: p.read_bytes() for p in study.folder.iterdir() if p.is_file()}
    (tmp_path / "out" / "study.json").unlink()
    again = explorer.train(tmp_path / "recipe.toml", tmp_path / "out", resume=True)
    assert {p.name: p.read_bytes() for p in again.folder.iterdir() if p.is_file()} == first


def test_the_shipped_imagenet_study():
    study = open_study("imagenet-mobilenetv3")
    quality = study.predictor.quality
    assert quality["kendall_tau"] >= 0.91
    assert quality["mae"] <= 0.00135
    assert study.targets == ["mobile", "cpu", "gpu"]
    assert study.devices["cpu"].provenance.hardware == "Intel Core i7-8700K"
    low, high = study.budget_range("mobile")
    made = [study.generate({"mobile": low * (high / low) ** share}) for share in (0.2, 0.5, 1.0)]
    assert all(c.feasible for c in made)
    assert made[0].accuracy < made[1].accuracy < made[2].accuracy < 0.79


def test_published_networks_have_their_published_accuracy(reference):
    """The shipped predictor is close to the rows that it was fitted to."""
    import os

    study = open_study("imagenet-mobilenetv3")
    root = reference("ofa_imagenet").parent
    os.environ["EXPLORER_REFERENCE"], before = str(root), os.environ.get("EXPLORER_REFERENCE")
    try:
        rows = read_published("ofa_imagenet/ofa_w1.0_top1_train.csv", study.space)
    finally:
        os.environ.pop("EXPLORER_REFERENCE") if before is None else os.environ.update(EXPLORER_REFERENCE=before)
    table = study.predict(rows.codes)
    assert np.abs(table["accuracy"] - rows.accuracy).mean() < 0.00135
    inside = (table["lo"] <= rows.accuracy) & (rows.accuracy <= table["hi"])
    assert inside.mean() > 0.86
