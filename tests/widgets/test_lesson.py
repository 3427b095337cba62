import pandas as pd
import pytest

from explorer.core.errors import InputError
from explorer.widgets.hand_game import HandGame
from explorer.widgets.lesson import NOT_YET, RIGHT, Lesson


@pytest.fixture(scope="module")
def lesson(digits_study):
    return Lesson(digits_study)


def test_the_truth_is_whole_and_nothing_beats_it(lesson):
    assert len(lesson.codes) == lesson.study.space.size
    assert lesson.share([candidate.key for candidate in lesson.truth]) == pytest.approx(1)
    assert 0 < lesson.share(lesson.by_chance(8)) < 1


def test_tries_are_judged_against_chance(lesson):
    best = [candidate.key for candidate in lesson.truth]
    assert lesson.check_tries(best[::3]).startswith(RIGHT)
    assert lesson.check_tries(best[:1] * 8).startswith(NOT_YET)
    assert lesson.check_tries([]).startswith(NOT_YET)


def test_the_second_task_can_be_solved_from_its_table(lesson):
    table = lesson.counted()
    pairs = [(a, b) for i, a in enumerate(table.index) for b in table.index[i + 1 :]]
    said = [lesson.check_slower(a, b) for a, b in pairs]
    assert any(line.startswith(RIGHT) for line in said)
    assert any(line.startswith(NOT_YET) for line in said)
    assert lesson.check_slower(pairs[0][1], pairs[0][0]).startswith(NOT_YET)
    with pytest.raises(InputError, match="nonsense"):
        lesson.check_slower("nonsense", pairs[0][0])


def test_the_third_task_is_arithmetic_on_the_race(lesson):
    race = lesson.race(budgets=3, evaluations=100)
    assert race["a budget"].iloc[0] > race["a budget"].iloc[1]
    known = pd.DataFrame({"a budget": [0.2, 0.0]})
    assert lesson.check_pays(50, known, 10).startswith(RIGHT)
    for wrong in (None, 5, 500):
        assert lesson.check_pays(wrong, known, 10).startswith(NOT_YET)
    assert "pays from" not in lesson.check_pays(5, known, 10), "a wrong answer does not give the right one away"


def test_only_enumerable_spaces_make_a_lesson(fashion_study, digits_study):
    with pytest.raises(InputError, match=r"fashion-mnist.*networks"):
        Lesson(fashion_study)
    with pytest.raises(InputError, match="nothing"):
        Lesson(digits_study, "nothing")


def test_networks_are_tried_by_hand(lesson):
    game = HandGame(lesson, tries=2)
    game.attempt.click()
    game.attempt.click()
    assert len(game.tried) == 1, "the same network is one try"
    game.menus[-1].value = 2
    game.menus[0].value = game.menus[1].value = 1
    game.attempt.click()
    stars = game.figure.data[1]
    assert list(stars.x) == lesson.looked_up(game.tried)["mobile"].tolist()
    assert game.attempt.disabled
    assert f"{lesson.share(game.tried):.1%}" in game.said.value
    assert not game.figure.data[0].visible
    game.give_up.click()
    assert game.figure.data[0].visible
