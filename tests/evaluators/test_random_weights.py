from dataclasses import replace

import numpy as np
import pytest
import torch

from explorer.core.errors import InputError
from explorer.data.datasets import Split, load_dataset
from explorer.evaluators import RandomWeights
from explorer.evaluators.linear_head import fit_head
from explorer.evaluators.random_weights import pooled
from explorer.spaces import SPACES
from explorer.supernets import build, recalibrate
from explorer.testing import check_evaluator

SPACE = SPACES["mobile-tiny"]
SMALL = {"seeds": 2, "train_images": 300, "val_images": 200}


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.mark.parametrize("train", ["head", "bn", "all"])
def test_it_conforms_and_the_same_seed_gives_the_same_scores(digits, train):
    judge = RandomWeights(SPACE, digits, train=train, epochs=0.5, **SMALL)
    check_evaluator(judge, SPACE, 2)
    codes = SPACE.sample(2, np.random.default_rng(0))
    assert [(s.error, s.stderr) for s in judge.scores(codes)] == [(s.error, s.stderr) for s in judge.scores(codes)]


def test_features_of_random_weights_tell_digits_apart(digits):
    codes = SPACE.sample(3, np.random.default_rng(1))
    for settings in (
        {}, {"head": "softmax"}, {"features": "all"}, {"head": "sgd", "head_epochs": 5}, {"statistics": "frozen"},
        {"standardise": False}, {"head": "sgd", "standardise": False},
    ):  # fmt: skip
        assert (RandomWeights(SPACE, digits, seeds=1, train_images=1000, **settings).evaluate(codes) > 0.45).all()


def test_other_seeds_are_other_weights(digits):
    codes = SPACE.sample(3, np.random.default_rng(1))
    one, both, other = (
        RandomWeights(SPACE, digits, **SMALL | {"seeds": seeds}, first_seed=first).evaluate(codes)
        for seeds, first in ((1, 0), (2, 0), (1, 1))
    )
    assert (one != other).any()
    assert both == pytest.approx((one + other) / 2)


def test_frozen_statistics_judge_an_image_alone(digits):
    """With statistics of the batch, an image's features depend on the images beside it."""
    layers = SPACE.layers(SPACE.sample(1, np.random.default_rng(0))[0])
    network, x = build(layers, digits.mean, digits.std, 0), digits.val.images[:20]
    recalibrate(network, digits, 200)
    for statistics, alike in (("frozen", True), ("batch", False)):
        alone, beside = (pooled(network, [layers[-2].name], part, statistics) for part in (x[:10], x))
        assert torch.allclose(alone, beside[:10], atol=1e-5) == alike


def test_processes_change_nothing(digits):
    codes = SPACE.sample(3, np.random.default_rng(0))
    one, two = (RandomWeights(SPACE, digits, jobs=jobs, **SMALL).evaluate(codes) for jobs in (1, 2))
    assert (one == two).all()


def test_a_training_does_not_depend_on_the_number_of_threads(digits):
    """On images that are large enough for two threads."""
    wide = Split(digits.train.images[:160].repeat_interleave(4, 2).repeat_interleave(4, 3), digits.train.labels[:160])
    images = replace(digits, train=wide, val=wide, test=wide)
    space, before, found = SPACES["mobile-32"], torch.get_num_threads(), []
    codes = space.sample(1, np.random.default_rng(0))
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            judge = RandomWeights(
                space, images, train="all", score="loss", epochs=2, seeds=1, train_images=160, val_images=160
            )
            found.append(float(judge.evaluate(codes)[0]))
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_known_scores_are_not_computed_again(digits, tmp_path):
    codes = SPACE.sample(2, np.random.default_rng(0))
    first = RandomWeights(SPACE, digits, cache=tmp_path, **SMALL).scores(codes)
    again = RandomWeights(SPACE, digits, cache=tmp_path, **SMALL).scores(codes)
    assert [s.error for s in first] == [s.error for s in again]
    assert all(s.seconds == 0 for s in again)
    assert len(list(tmp_path.glob("*.json"))) == 2
    RandomWeights(SPACE, digits, cache=tmp_path, **SMALL | {"seeds": 1}).scores(codes)
    assert len(list(tmp_path.glob("*.json"))) == 4  # other settings are other scores
    for path in tmp_path.glob("*.json"):
        path.write_text("{")
    with pytest.raises(InputError, match="delete it"):
        RandomWeights(SPACE, digits, cache=tmp_path, **SMALL).scores(codes)


@pytest.mark.parametrize("name", ["nasbench201", "darts"])
def test_cells_are_ranked_too(digits, name):
    space = SPACES[name].scaled(width=4, depth={"nasbench201": 1, "darts": 3}[name])
    codes = space.sample(2, np.random.default_rng(0))
    assert (RandomWeights(space, digits, seeds=1, train_images=300, val_images=200).evaluate(codes) > 0.15).all()


def test_how_fast_the_loss_falls_is_a_score_too(digits):
    codes = SPACE.sample(2, np.random.default_rng(0))
    slow, fast = (
        RandomWeights(SPACE, digits, train="all", score="loss", epochs=epochs, **SMALL).evaluate(codes)
        for epochs in (0.5, 6)
    )
    assert (slow > 0).all()
    assert (fast > slow).all()  # the longer it learns, the lower its mean loss
    with pytest.raises(InputError, match="head_epochs is read by train 'head'"):
        RandomWeights(SPACE, digits, head="ridge", head_epochs=5, **SMALL)
    with pytest.raises(InputError, match="choose from: error"):
        RandomWeights(SPACE, digits, score="loss", **SMALL)


def _spoiled(digits, kind):
    x, y = digits.train.images, digits.train.labels
    if kind == "constant":
        return replace(digits, train=Split(torch.full_like(x, 7), y))
    if kind == "one class":
        return replace(digits, train=Split(x, torch.zeros_like(y)))
    return replace(digits, train=Split(torch.where(x > 200, torch.nan, x.float()), y))


@pytest.mark.parametrize(("kind", "said"), [("constant", "all the same"), ("one class", "only one class"),
                                            ("NaN", "not numbers")])  # fmt: skip
def test_images_that_cannot_rank_are_refused(digits, kind, said):
    with pytest.raises(InputError, match=said):
        RandomWeights(SPACE, _spoiled(digits, kind), **SMALL)


@pytest.mark.parametrize("settings", [{"train": "most"}, {"seeds": 0}, {"wheels": 4}])
def test_settings_are_checked(digits, settings):
    with pytest.raises(InputError, match=next(iter(settings))):
        RandomWeights(SPACE, digits, **settings)


@pytest.mark.parametrize("kind", ["ridge", "softmax", "sgd"])
def test_the_head_finds_what_is_linear(kind):
    torch.manual_seed(0)
    x = torch.randn(600, 12, dtype=torch.float64)
    x[:, 3] = 5.0  # says nothing
    y = (x @ torch.randn(12, 4, dtype=torch.float64)).argmax(1)
    predict = fit_head(x[:400], y[:400], 4, kind)
    assert (predict(x[400:]) == y[400:]).double().mean() > 0.8


def test_training_shows_in_every_layer_after_the_first(digits):
    from explorer.evaluators import probe_layers
    from explorer.study import open_study

    study = open_study("digits")
    chosen = study.architecture(study.evaluations.sort_values("macs_m")["key"].iloc[-1])
    layers = study.space.layers(chosen)
    trained, before = study.network(chosen), study.network(chosen)
    seen = probe_layers(trained, layers, digits)
    fresh = probe_layers(build(layers, digits.mean, digits.std, 0), layers, digits)
    assert list(seen) == list(fresh) == [layer.name for layer in layers[:-2]]
    last = list(seen)[-1]
    assert seen[last] > 0.9 > fresh[last]
    assert seen[last] - seen["stem"] > fresh[last] - fresh["stem"] + 0.1
    for a, b in zip(trained.state_dict().values(), before.state_dict().values()):
        assert torch.equal(a, b)  # the network that was handed in is as it was
