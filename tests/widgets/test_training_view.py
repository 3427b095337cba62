"""The tab "Training": what it says of a training in every state, and that its buttons do what they say."""

import time

import pytest

from explorer.study.journal import recorded, trainings
from explorer.widgets.dashboard import Dashboard
from explorer.widgets.training_view import TrainingView, may_watch


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def said():
    return []


@pytest.fixture
def view(said):
    return TrainingView(lambda *words: said.append(words), lambda folder: said.append(("opened", folder)))


def shown(view):
    return [b.description for b in view.buttons.children if b.layout.display != "none"]


def test_without_a_training_it_says_how_to_start_one(view, said):
    view.refresh()
    assert "explorer train" in view.said.value
    assert shown(view) == []
    assert view.figures == []  # nothing to draw
    assert said == []


def test_a_training_from_anywhere_is_followed_to_its_end(view, said, tmp_path):
    def run(journal):
        journal.reserve()
        journal.images(1, 10, 8)
        for step in journal.progress(lambda items, total, what: items)(range(40), 40, "training"):
            journal.loss(step, 40, 2.0 / (1 + step))
            journal._written = 0.0
            if step == 20:
                view.refresh()
                assert shown(view) == ["Stop"]
                assert "my-study: training, 20 of 40; about" in view.said.value
                assert "left for this part (estimated)" in view.said.value
                assert view.bar.value == 0.5
                assert list(view.figures[0].data[0].y) == [2.0 / (1 + i) for i in range(20)]
                assert view.figures[0].layout.xaxis.range[1] == 40
                assert view.ticker.seconds == 2

    with recorded(tmp_path / "my-study") as journal:
        (tmp_path / "my-study").mkdir()
        run(journal)
    view.refresh()
    assert "did not finish" in view.said.value
    assert shown(view) == ["Go on", "Remove"]
    view.go_on.click()
    assert "started from Python" in said[-1][0]
    (tmp_path / "my-study" / "study.json").write_text("{}")
    view.refresh()
    assert "my-study is finished" in view.said.value
    assert shown(view) == ["Remove", "Open the study"]
    view.finished.click()
    assert said[-1] == ("opened", str(tmp_path / "my-study"))
    view.remove.click()
    assert trainings() == []
    assert "No training yet" in view.said.value


def test_of_several_the_newest_is_shown_and_the_chosen_one_stays(view, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        with recorded(tmp_path / name) as journal:
            journal.reserve()
        time.sleep(0.01)
    view.refresh()
    assert [label for label, _ in view.chosen.options] == ["second (stopped)", "first (stopped)"]
    assert view.said.value.count("second")
    view.chosen.value = str(tmp_path / "first")
    assert "first" in view.said.value
    view.refresh()
    assert "first" in view.said.value
    view.follow(str(tmp_path / "second"))
    assert "second" in view.said.value


def test_names_are_text(view, tmp_path):
    name = "<img src=x onerror=alert(1)>"
    (tmp_path / name).mkdir()
    with recorded(tmp_path / name) as journal:
        journal.reserve()
    view.refresh()
    assert "<img" not in view.said.value


def test_a_public_page_shows_no_trainings(monkeypatch, digits_study):
    monkeypatch.setenv("EXPLORER_PAGE", "1")
    assert not may_watch()
    assert "Training" not in Dashboard(digits_study).tabs.titles
    monkeypatch.setenv("EXPLORER_TRAININGS", "1")
    assert "Training" in Dashboard(digits_study).tabs.titles


def test_own_images_start_a_training_that_is_shown(quick_recipe, digits_study, tmp_path, monkeypatch, home):
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("EXPLORER_DATA_ROOT", str(tmp_path / "root"))
    page = Dashboard(digits_study)
    images = page.panel("own images")
    images._recipe, images.name.value = str(quick_recipe), "mine"
    process = images.start()
    try:
        assert page.tabs.titles[page.tabs.selected_index] == "Training"
        assert page.panel("training").training.folder == str(home / "studies" / "mine")
        assert page.panel("training").training.running
        assert shown(page.panel("training")) == ["Stop"]
        assert images.train.disabled  # the recipe has been used
    finally:
        page.panel("training").stop.click()
        process.wait(60)
    end = time.monotonic() + 20
    while trainings()[0].running and time.monotonic() < end:  # until the page has noted why it ended
        time.sleep(0.02)
    page.panel("training").refresh()
    assert shown(page.panel("training")) == ["Go on", "Remove"]
    page.panel("training").remove.click()  # an unfinished study would be deleted
    assert (home / "studies" / "mine").exists()
    assert shown(page.panel("training")) == ["Go on", "Yes, delete it"]
    page.panel("training").remove.click()
    assert not (home / "studies" / "mine").exists()
