"""What others can see of a training: while it runs, after it was stopped, and after it ended."""

import os
import time
from dataclasses import replace

import numpy as np
import pytest

import explorer
from explorer.core.errors import InputError
from explorer.core.protocols import silent
from explorer.study.journal import POINTS, Journal, Training, journal_of, recorded, trainings
from explorer.study.launch import go_on, launch, remove, stop
from explorer.study.so_far import so_far


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def wait(what, seconds=120):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, [vars(t) for t in trainings()]
        time.sleep(0.05)
    return found


def test_losses_are_thinned_and_keep_their_mean(tmp_path):
    journal, values = Journal(tmp_path), np.random.default_rng(0).random(5000)
    for step, value in enumerate(values):
        journal.loss(step, len(values), float(value))
    kept = np.array(journal._now.losses)
    assert POINTS / 2 <= len(kept) < POINTS
    assert (np.diff(kept[:, 0]) > 0).all()
    assert kept[:, 1].mean() == pytest.approx(values[: int(kept[-1, 0]) + 1].mean(), abs=0.01)
    journal.reserve()
    again = Journal(tmp_path, resume=True)
    again.loss(1000, 5000, 0.5)  # a resumed run repeats the steps since its checkpoint
    assert again._now.losses[-1] == (1000, 0.5)
    assert again._now.losses[-2][0] < 1000


def test_a_training_is_seen_while_it_runs_and_after_it(quick_recipe, tmp_path):
    seen = []

    def looked(items, total, what):
        for item in items:
            yield item
            if not seen or what != seen[-1].what:
                now = trainings()[0]
                assert now.running
                assert not now.finished
                seen.append(now)

    study = explorer.train(quick_recipe, tmp_path / "made", progress=looked)
    assert {"training", "scoring", "searching"} <= {training.what for training in seen}
    [after] = trainings()
    assert after.finished
    assert not after.running
    assert after.error == ""
    assert [what for what, _ in after.parts] == ["training", "scoring", "searching", "training the generator",
                                                 "training the evaluator"]  # fmt: skip
    assert after.steps > len(after.losses) > 1 or after.steps == len(after.losses)
    assert after.losses[0][1] > after.losses[-1][1]
    found = so_far(after)
    assert len(found.cost) == len(study.evaluations)
    assert found.device == study.main_targets[0]
    assert np.allclose(np.sort(found.cost), np.sort(study.evaluations[found.device]))
    assert (np.diff(found.accuracy[found.front]) > 0).all()


def test_a_refused_command_is_no_training_and_touches_no_other(quick_recipe, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="not empty"):
        explorer.train(quick_recipe, tmp_path / "full")
    assert trainings() == []
    with recorded(tmp_path / "full") as journal:
        journal.reserve()
        list(journal.progress(silent)(range(3), 3, "training"))
        before = journal_of(tmp_path / "full")
        with recorded(tmp_path / "full") as other:  # a second process in the same folder
            other.reserve()
        assert journal_of(tmp_path / "full") == before
    assert not trainings()[0].running
    remove(trainings()[0])
    assert (tmp_path / "full" / "letter.txt").read_text() == "mine"  # only the page's own folders are deleted
    assert trainings() == []


def test_started_stopped_and_gone_on_it_makes_the_same_study(quick_recipe, quick_study, home):
    out = home / "studies" / "mine"
    process = launch([str(quick_recipe)], out)
    assert trainings()[0].running
    wait(lambda: journal_of(out).losses)
    stop(trainings()[0])
    process.wait(60)
    stopped = wait(lambda: None if trainings()[0].running else trainings()[0])
    assert stopped.error == "stopped"
    assert not stopped.finished
    process = go_on(stopped)
    with pytest.raises(InputError, match="is running"):
        remove(trainings()[0])
    assert process.wait(120) == 0
    assert trainings()[0].finished
    for name in ("supernet.safetensors", "evaluations.csv"):
        assert (out / name).read_bytes() == (quick_study.folder / name).read_bytes(), name
    remove(trainings()[0])
    assert (out / "study.json").exists()  # a finished study is kept


def test_why_a_training_failed_is_kept(home, tmp_path):
    recipe = tmp_path / "wrong.toml"
    recipe.write_text('data = "folder:/nowhere"\nspace = "mobile-tiny"\ndevices = ["mobile"]\n')
    assert launch([str(recipe)], home / "studies" / "x").wait(60) != 0
    failed = wait(lambda: next((t for t in trainings() if t.error), None))
    assert "/nowhere" in failed.error
    assert not failed.running
    remove(failed)
    assert trainings() == []
    assert not list((home / "trainings").iterdir())


def test_without_a_folder_for_it_there_is_no_journal_and_all_else_works(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "file"))
    with recorded(tmp_path / "made") as journal:
        journal.reserve()
        assert list(journal.progress(silent)(range(3), 3, "training")) == [0, 1, 2]
    assert trainings() == []


def test_where_a_training_was_started_may_be_gone(home, quick_recipe, tmp_path):
    out = home / "studies" / "mine"
    process = launch([str(quick_recipe)], out, str(tmp_path / "gone"))
    with pytest.raises(InputError, match="is running"):  # a second visitor with the same name
        launch([str(quick_recipe)], out)
    process.kill()
    process.wait(30)
    killed = wait(lambda: next((t for t in trainings() if t.error), None))
    assert "signal 9" in killed.error
    with pytest.raises(InputError, match="there already"):
        launch([str(quick_recipe)], out)
    assert journal_of(out) == killed  # a refused start changes nothing
    assert os.path.isdir(killed.where)


def test_a_training_elsewhere_or_here_is_not_interrupted(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    with recorded(tmp_path / "x") as journal:
        journal.reserve()
        with pytest.raises(InputError, match="in this notebook"):
            stop(trainings()[0])
        monkeypatch.setattr("explorer.study.launch.platform.node", lambda: "another")
        with pytest.raises(InputError, match="stop it there"):
            stop(trainings()[0])
    assert trainings()[0].left is None


def test_searches_may_take_longer_than_planned():
    begun = Training("/x", 1, 0.0, 100.0, done=130, total=100, since=50.0)
    assert begun.left is None
    assert replace(begun, done=50).left == 50


def test_the_arguments_of_a_resumed_run_give_the_same_recipe(quick_recipe, tmp_path, monkeypatch):
    from explorer.study.recipe import load_recipe
    from explorer.study.train import _arguments

    for data in ("folder:photos", "folder:photos/", "folder:./photos"):
        named, flag, kept = _arguments(quick_recipe, data, None, None)
        assert flag == "--data"
        assert load_recipe(named, kept) == load_recipe(quick_recipe, data)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _arguments(quick_recipe, None, None, None) == ()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"folder": 1}',
        '{"folder": "/x", "process": 1, "begun": 1}',
        '{"folder": "/x", "process": 1, "begun": 1, "updated": 1, "done": "many"}',
    ],
)  # fmt: skip)
def test_a_damaged_journal_is_passed_over_and_kept(home, text):
    (home / "trainings").mkdir(parents=True)
    (home / "trainings" / "0.json").write_text(text)
    assert trainings() == []
    assert list((home / "trainings").glob("*.json"))  # it may be one of a newer version, or be written just now
