"""Numbers that stay true: what a shipped card says is computed again from the study's files, and studies are rebuilt."""

import re

import numpy as np
import pytest

from explorer.core.config import read_toml
from explorer.core.front import kendall_tau
from explorer.generators.ranking import by_accuracy
from explorer.study import open_study
from explorer.study.card import margins_of

MEASURED = ["digits", "fashion-mnist", pytest.param("fashion-mnist-unified", marks=pytest.mark.long)]
SHIPPED = ["clothing", "digits", "fashion-mnist", "fashion-mnist-unified", "imagenet-mobilenetv3"]


def _card(study):
    return (study.folder / "README.md").read_text()


@pytest.mark.parametrize("name", MEASURED)
def test_accuracies_of_a_card_are_measured_again(name):
    study = open_study(name)
    assert len(study.manifest.reported) == 3
    for reported in study.manifest.reported:
        chosen = study.architecture(reported.key)
        for split, value in (("val", reported.val), ("test", reported.test)):
            images = len(study.images.split(split))
            # another processor may round an image or two to another class
            assert study.evaluate([chosen], split)[0] == pytest.approx(value, abs=2.5 / images)
        row = f"| {reported.role} | `{reported.key}` | {reported.val:.2%} | {reported.test:.2%} |"
        assert row in _card(study)


def test_accuracies_of_the_photographs_are_measured_again(reference, tmp_path, monkeypatch):
    """On the whole data set where it is, and nearly so on the photographs that are in the study."""
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path))
    study = open_study("clothing")
    whole = study.with_images(f"folder:{reference('clothing/clothing.zip')}")
    for reported in study.manifest.reported:
        chosen = [study.architecture(reported.key)]
        found = whole.recognised(chosen, "test")[0]
        assert found.accuracy == pytest.approx(reported.test, abs=2.5 / len(whole.images.test))
        assert found.balanced == pytest.approx(reported.balanced, abs=0.02)
        assert whole.evaluate(chosen)[0] == pytest.approx(reported.val, abs=2.5 / len(whole.images.val))
        assert study.evaluate(chosen)[0] == pytest.approx(reported.val, abs=0.05)
        row = f"| {reported.role} | `{reported.key}` | {reported.val:.2%} | {reported.test:.2%} | {reported.balanced:.2%} |"
        assert row in _card(study)


def test_the_study_of_photographs_is_small_names_no_path_and_has_its_licence():
    study = open_study("clothing")
    files = [p for p in study.folder.rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in files) <= 12_000_000
    for name in ("study.json", "recipe.toml", "README.md"):
        text = (study.folder / name).read_text()
        assert not re.search(r"(?<![\w.`])/(tmp|home|root|work|Users|mnt)/", text), name
    assert study.manifest.data.packed == [512, 256]
    assert "TERMS AND CONDITIONS" in (study.folder / "LICENSE").read_text()
    assert "changed" in (study.folder / "NOTICE").read_text()


def test_accuracies_of_the_pruned_family_are_measured_again():
    study = open_study("fashion-mnist-pruned")
    assert len(study.manifest.reported) == 7
    again = study.manifest.reported[::3]  # the widest, the narrowest and one between; all seven take a minute
    test = study.evaluate([study.architecture(reported.key) for reported in again], "test")
    for reported, accuracy in zip(again, test):
        assert accuracy == pytest.approx(reported.test, abs=0.01)  # batch norm is calibrated anew
        assert f"{reported.test:.2%}" in _card(study)


@pytest.mark.parametrize("name", ["digits", "fashion-mnist"])
def test_rows_of_the_evaluations_are_measured_again(name):
    study = open_study(name)
    rows = study.evaluations.sample(4, random_state=1)
    found = study.evaluate([study.architecture(key) for key in rows["key"]])
    assert found == pytest.approx(rows["accuracy"].to_numpy(), abs=2.5 / len(study.images.val))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_predictor_is_as_good_as_its_card_says(name):
    study, quality = open_study(name), open_study(name).predictor.quality
    if name == "imagenet-mobilenetv3":  # fitted to published rows that are not part of the study
        assert quality["held_out"] > 200
    else:
        scored = study.scored
        rows = np.flatnonzero(scored.source == "sample")
        held = np.random.default_rng(study.manifest.seed).permutation(len(rows))[: quality["held_out"]]
        codes, accuracy = scored.codes[rows][held], scored.accuracy[rows][held]
        predicted = study.predictor.evaluate(codes)
        assert kendall_tau(predicted, accuracy) == pytest.approx(quality["kendall_tau"], abs=2e-3)
        assert np.abs(predicted - accuracy).mean() == pytest.approx(quality["mae"], abs=1e-5)
        low, high = study.predictor.interval(predicted)
        assert ((low <= accuracy) & (accuracy <= high)).mean() >= quality["coverage"] - 0.1
    assert f"Kendall's tau {quality['kendall_tau']:.3f} and mean absolute error {quality['mae']:.2%}" in _card(study)


@pytest.mark.parametrize("name", SHIPPED)
def test_generators_give_what_the_card_says(name):
    study = open_study(name)
    devices = list(study.devices.values())
    for generator, mean in by_accuracy(study.space, [study.generator(n) for n in study.generators], devices):
        row = (f"| {generator.method} | {generator.parameters:,} | {margins_of(generator)} | "
               f"{generator.about['raw_feasible']:.1%} | {mean:.3%} |")  # fmt: skip
        assert row in _card(study), row


@pytest.mark.parametrize("name", SHIPPED)
def test_errors_of_devices_are_those_of_their_files(name):
    study = open_study(name)
    for device in study.devices.values():
        error = device.provenance.error
        row = f"| {device.name} | {device.unit} | {device.provenance} |"
        assert row in _card(study)
        if "mape" in error and not device.outside(study.space, study.scored.codes):
            assert f"| {error['mape']:.1%} mean" in _card(study)
        elif "mape" in error:  # the error of a fit says nothing about what lies outside of it
            assert f"{row} unknown: extrapolated, see the limits |" in _card(study)


SHORT = {
    "search": {"evaluations": 2000}, "expert": {"budgets": 256, "rounds": 10},
    "pnag": {"iterations": 20, "ranker_steps": 100},
}  # fmt: skip
REDUCED = {
    "digits": {"supernet": {"epochs": 3}, "scores": {"architectures": 40, "front_architectures": 10}},
    "fashion-mnist": {"supernet": {"epochs": 0.02}, "scores": {"architectures": 24, "front_architectures": 4,
                      "val_images": 200, "calibration_images": 200}},
    "fashion-mnist-unified": {"supernet": {"epochs": 0.02}, "scores": {"architectures": 24, "front_architectures": 4,
                              "val_images": 200, "calibration_images": 200}, "sgnas": {"steps": 20}},
    "imagenet-mobilenetv3": {"scores": {"architectures": 150, "front_architectures": 30}, "predictor": {"members": 2}},
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", list(REDUCED))
def test_every_recipe_still_makes_its_study(name, tmp_path, reference):
    """The shipped recipe on a reduced schedule: twice the same files, and the same kinds of files as the shipped study."""
    import tomli_w

    import explorer
    from tests.study.test_train import hashes

    if name == "imagenet-mobilenetv3":
        reference("ofa_imagenet")
    recipe = dict(read_toml(open_study(name).folder / "recipe.toml"))
    for section, changes in (SHORT | REDUCED[name]).items():
        if section in recipe or section in ("search", "scores", "predictor"):
            recipe[section] = dict(recipe.get(section, {})) | changes
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(recipe))
    made = [explorer.train(tmp_path / "recipe.toml", tmp_path / str(i)) for i in range(2)]
    assert hashes(made[0].folder) == hashes(made[1].folder)
    assert set(made[0].manifest.files) == set(open_study(name).manifest.files)
    low, high = made[0].budget_range("mobile")
    assert made[0].generate({"mobile": (low * high) ** 0.5}).feasible


@pytest.mark.long
def test_the_pruned_family_is_made_again(tmp_path):
    """On a reduced schedule: twice the same files, and the same kinds of files as the shipped family."""
    from explorer.pruning import PruneConfig
    from explorer.study.prune import FamilyConfig, prune
    from tests.study.test_train import hashes

    config = FamilyConfig(search=PruneConfig(warmup=5, rounds=2, steps=5), steps=10)
    made = [prune("fashion-mnist", tmp_path / str(i), config=config) for i in range(2)]
    assert hashes(made[0].folder) == hashes(made[1].folder)
    assert set(made[0].manifest.files) == set(open_study("fashion-mnist-pruned").manifest.files)
