import numpy as np
import pytest

from explorer.cli import run
from explorer.core.errors import InputError
from explorer.study import open_study
from explorer.study.answers import Answers, answers_of, read_answers
from explorer.widgets import Dashboard
from explorer.widgets.images_view import CHANGED, RIGHT, WRONG


@pytest.fixture
def page(digits_study):
    return Dashboard(digits_study)


def test_answers_agree_with_measured_accuracy_and_survive_a_file(digits_study, tmp_path):
    front = [digits_study.architecture(key) for key in digits_study.front("mobile")["key"][:2]]
    found = answers_of(digits_study, front, "val")
    accuracy = digits_study.evaluate(front)
    for architecture, measured in zip(front, accuracy):
        assert found.recognised(architecture.key).accuracy == pytest.approx(measured)
        matrix = found.confusion(architecture.key)
        assert matrix.sum() == len(found.labels)
        assert np.trace(matrix) / matrix.sum() == pytest.approx(measured)
    gained, lost = found.changed(front[0].key, front[1].key)
    assert (len(gained) - len(lost)) / len(found.labels) == pytest.approx(accuracy[1] - accuracy[0])
    found.save(tmp_path / "a.npz")
    again = read_answers(tmp_path / "a.npz")
    assert (again.keys, again.classes, again.split) == (found.keys, found.classes, "val")
    assert np.array_equal(again.said, found.said)
    assert np.array_equal(again.pictures, found.pictures)
    assert found.joined(again).keys == found.keys, "a network is there once"
    (tmp_path / "b.npz").write_bytes(b"no answers")
    with pytest.raises(InputError, match="no answers"):
        read_answers(tmp_path / "b.npz")


def test_a_network_is_looked_at_from_the_page(page):
    images = page.panel("images")
    images.start().result(timeout=120)
    key, classes = page.state.candidate.key, images.answers.classes
    wrong = (images.answers.said[0] != images.answers.labels).sum()
    assert f"{wrong} {WRONG}" in images.pictures.value
    assert images.pictures.value.count("<img") == wrong
    assert page.state.accuracy_of(key) == pytest.approx(1 - wrong / len(images.answers.labels))
    images.show.value = RIGHT
    assert "taken for" not in images.pictures.value
    assert "48 of" in images.pictures.value
    images.only.value = 3
    assert images.pictures.value.count(f'alt="{classes[3]}"') == images.pictures.value.count("<img")
    worst = [line.split("</th>")[0] for line in images.classes.value.split('<th scope="row">')[1 : 1 + len(classes)]]
    recall = images.answers.recognised(key).recall
    assert [recall[name] for name in worst] == sorted(recall.values())
    page.budgets.rows["mobile"].slider.value = page.state.range("mobile")[0]
    assert "was not looked at yet" in images.pictures.value


def test_what_changes_between_two_pins(page, digits_study):
    """The costlier network is the one that gains, in whichever order they were pinned."""
    images, state = page.panel("images"), page.state
    front = digits_study.front("mobile")
    for key in (front["key"].iloc[-1], front["key"].iloc[0]):
        state.pick(key)
        page.network.pin.click()
    cheap, costly = front["key"].iloc[0], front["key"].iloc[-1]
    labels = np.arange(10) % 10
    said = np.array([labels, labels])
    said[0, :4] += 1  # the cheap one misses four, the costly one misses another
    said[1, 9] = 0
    classes = [str(i) for i in range(9)] + ["<b>"]
    images.answers = Answers("val", classes, [cheap, costly], labels, said, np.zeros((10, 8, 8, 1), np.uint8))
    images.show.value = CHANGED
    assert "recognises 4 more" in images.pictures.value
    assert "and loses 1" in images.pictures.value
    assert "&lt;b&gt;" in images.pictures.value
    assert "<b>" not in images.pictures.value
    state.unpin(cheap)
    assert "Pin two networks" in images.pictures.value


def test_a_study_without_weights_says_why():
    images = Dashboard("imagenet-mobilenetv3").panel("images")
    assert images.button.disabled
    assert "no weights" in images.row.result.value


def test_commands(tmp_path, capsys):
    assert run(["answers", "digits", "--architecture", "zz", "--out", str(tmp_path / "a.npz")]) == 2
    assert run(["answers", "digits", "--architecture", "a0", "--out", str(tmp_path / "a.txt")]) == 2
    assert "expected the name of an .npz file" in capsys.readouterr().err
    assert run(["classify", "digits", __file__, "--architecture", "a0"]) == 2
    assert "was not trained on photographs" in capsys.readouterr().err
    assert run(["classify", "clothing", "nothing.jpg", "--architecture", "a0"]) == 2
    assert "is not a file" in capsys.readouterr().err


def test_a_photograph_is_classified_by_the_exported_network(tmp_path, capsys, monkeypatch):
    import json

    from PIL import Image

    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    study = open_study("clothing")
    key = study.generate({"mobile": study.budget_range("mobile")[0]}).key
    found = answers_of(study, [study.architecture(key)])
    row = int(np.flatnonzero(found.said[0] == found.labels)[0])
    images = study.measured.images.val.images[row].permute(1, 2, 0).numpy()
    Image.fromarray(images).save(tmp_path / "photo.png")
    assert run(["classify", "clothing", str(tmp_path / "photo.png"), "--architecture", key, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)["networks"][key]
    assert said.startswith(f"{found.classes[found.labels[row]]} (")
    (tmp_path / "bad.jpg").write_text("no picture")
    assert run(["classify", "clothing", str(tmp_path / "bad.jpg"), "--architecture", key]) == 2
    assert "cannot be classified" in capsys.readouterr().err
