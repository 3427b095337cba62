"""Batches for photographs: crops, policies, mixing and balance; every step is a function of its seed."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from explorer.data.datasets import Images, Split
from explorer.data.photos import Photos
from explorer.supernets.augment import batch_of, mixed
from explorer.supernets.config import TrainConfig
from explorer.supernets.training import _batch, loss_with_labels


@pytest.fixture
def photographs():
    """Forty photographs of 30 x 40 pixels, each of one colour with a stripe; nine of ten are of class 0."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(40, 200, (40, 1, 1, 3)).repeat(30, 1).repeat(40, 2).astype(np.uint8)
    pixels[:, :, :4] = 255
    starts, shapes = np.arange(40) * 30 * 40 * 3, np.tile([30, 40], (40, 1))
    whole = Photos(pixels.ravel(), starts, shapes, 3, np.arange(40))
    middle = torch.from_numpy(pixels[:, 3:27, 8:32]).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor([int(i % 10 == 9) for i in range(40)])
    split = Split(middle, labels, whole)
    return Images("x", ("a", "b"), split, split, split, (0.5,) * 3, (0.2,) * 3)


@pytest.mark.parametrize("policy", ["none", "colour", "trivial", "rand", "auto"])
def test_a_batch_is_a_function_of_its_seed(photographs, policy):
    config, index = TrainConfig(crop=0.3, policy=policy, flip=True), np.arange(16)
    state = torch.random.get_rng_state()
    a, labels = batch_of(photographs.train, index, config, 5)
    b, _ = batch_of(photographs.train, index, config, 5)
    other, _ = batch_of(photographs.train, index, config, 6)
    assert torch.equal(a, b)
    assert not torch.equal(a, other)
    assert torch.equal(torch.random.get_rng_state(), state), "torch's own random state is untouched"
    assert a.shape == (16, 3, 24, 24)
    assert 0 <= float(a.min()) <= float(a.max()) <= 1
    assert torch.equal(labels, photographs.train.labels[:16])


def test_crops_come_from_the_whole_photograph(photographs):
    """The stripe at the left edge is outside of the middle, but inside of the photograph."""
    config = TrainConfig(crop=0.3)
    batch, _ = batch_of(photographs.train, np.arange(40), config, 0)
    assert not bool((photographs.train.images == 255).any())
    assert bool((batch > 0.99).any())
    whole, _ = batch_of(replace(photographs.train, photos=None), np.arange(40), config, 0)
    assert not bool((whole > 0.99).any())


def test_without_augmentation_images_are_as_they_are(photographs):
    batch, _ = batch_of(photographs.train, np.arange(4), TrainConfig(), 0)
    assert torch.equal(batch, photographs.train.images[:4].float() / 255)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixed_labels_are_shares(photographs, kind):
    x, y = batch_of(photographs.train, np.arange(20), TrainConfig(), 0)
    a, shares = mixed(x, y, kind, 2, 3)
    b, _ = mixed(x, y, kind, 2, 3)
    assert torch.equal(a, b)
    assert shares.shape == (20, 2)
    assert torch.allclose(shares.sum(1), torch.ones(20))
    assert not torch.equal(a, x)


def test_balance_by_sampling_draws_all_classes_alike(photographs):
    drawn = np.concatenate(
        [_batch(photographs.train, TrainConfig(batch=40, balance="sampling"), 0, s, 1) for s in range(50)]
    )
    share = float(photographs.train.labels[drawn].float().mean())
    assert 0.45 < share < 0.55
    plain = _batch(photographs.train, TrainConfig(batch=40), 0, 0, 1)
    assert sorted(plain) == list(range(40)), "without it, an epoch is one pass"


def test_balance_by_weights_counts_all_classes_alike(photographs):
    logits = torch.zeros(40, 2)
    logits[:, 0] = 2.0  # always says the frequent class
    y = photographs.train.labels
    plain = loss_with_labels(photographs, TrainConfig(label_smoothing=0))(logits, y)
    weighted = loss_with_labels(photographs, TrainConfig(label_smoothing=0, balance="weights"))(logits, y)
    right, wrong = (
        torch.nn.functional.cross_entropy(logits[:1], y[:1]),
        torch.nn.functional.cross_entropy(logits[:1], 1 - y[:1]),
    )
    assert torch.isclose(weighted, (right + wrong) / 2)
    assert plain < weighted


def test_inherited_weights_have_a_learning_rate_of_their_own():
    from explorer.spaces import SPACES
    from explorer.supernets import make_supernet
    from explorer.supernets.training import _optimizer

    supernet = make_supernet(SPACES["mobile-tiny"], (0.5,), (0.5,))
    groups = _optimizer(supernet, TrainConfig(inherited_lr=0.1)).param_groups
    shares = {id(p): g["share"] for g in groups for p in g["params"]}
    for name, p in supernet.named_parameters():
        assert shares[id(p)] == (1.0 if "classifier" in name else 0.1)
