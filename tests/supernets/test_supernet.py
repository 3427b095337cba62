import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.data.datasets import load_dataset
from explorer.spaces import SPACES
from explorer.supernets import (
    MobileSupernet,
    TrainConfig,
    build,
    make_supernet,
    recalibrate,
    train_network,
    train_supernet,
)
from explorer.supernets.checkpoint import load_tensors
from explorer.supernets.sampling import RULES, forced, largest, smallest

SHAPES = {"mobile-tiny": (1, 10, 8), "mobile-32": (3, 10, 32), "unified-32": (3, 10, 32)}


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("training", [False, True])
def test_subnet_is_the_supernets_slice(name, training, rng):
    space = SPACES[name].for_images(*SHAPES[name])
    supernet = make_supernet(space, [0.4] * space.channels, [0.3] * space.channels)
    for p in supernet.parameters():
        nn.init.normal_(p, 0, 0.2)
    x = torch.rand(6, space.channels, SHAPES[name][2], SHAPES[name][2])
    for row in [largest(space), smallest(space), *space.sample(4, rng), *_uneven(space)]:
        subnet = supernet.subnet(row).train(training)
        supernet.train(training)
        difference = (supernet(x, row) - subnet(x)).abs().max()
        assert difference <= 1e-5 * max(1.0, float(subnet(x).detach().abs().max()))


def _uneven(space):
    """Subnets of a unified space that run any of the sub-blocks, as training draws them."""
    return forced(space, 0, 0, 3) if hasattr(space, "subblocks") else []


def test_the_supernet_remembers_no_subnet(rng):
    space = SPACES["mobile-tiny"]
    supernet = MobileSupernet(space, [0.4], [0.3]).eval()
    a, b = space.sample(2, rng)
    x = torch.rand(3, 1, 8, 8)
    first = supernet(x, a)
    supernet(x, b)
    assert torch.equal(supernet(x, a), first)


@pytest.mark.parametrize("name", ["mobile-tiny", "mobile-32", "unified-32", "mobilenetv3-w1.0"])
def test_counted_parameters_are_built_parameters(name, rng):
    space = SPACES[name]
    for row in space.sample(3, rng):
        layers = space.layers(Architecture(space, row))
        network = build(layers)
        assert sum(p.numel() for p in network.parameters()) == sum(x.params() for x in layers)


@pytest.mark.parametrize("name", ["mobile-32", "unified-32"])
def test_counted_macs_are_built_macs(name, rng):
    from torch.utils.flop_counter import FlopCounterMode

    space = SPACES[name]
    for row in space.sample(3, rng):
        layers = space.layers(row)
        network = build(layers).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.rand(1, 3, 32, 32))
        assert counter.get_total_flops() == 2 * sum(x.macs() for x in layers)


@pytest.mark.parametrize("rule", list(RULES))
def test_sampling_rules_are_functions_of_the_step(rule):
    space = SPACES["unified-32" if rule == "forced" else "mobile-32"]
    codes = RULES[rule](space, 3, 7, 2)
    assert (codes == RULES[rule](space, 3, 7, 2)).all()
    assert (codes != RULES[rule](space, 3, 8, 2)).any()
    assert rule == "forced" or (space.canonical(codes) == codes).all()
    if rule == "sandwich":
        assert (codes[0] == largest(space)).all()
        assert (codes[1] == smallest(space)).all()


def test_forced_sampling_uses_every_option_equally():
    space = SPACES["unified-32"]
    steps = 45  # of 4 passes: a multiple of 4 sizes and of 3 kernels
    codes = np.concatenate([forced(space, 0, step, 4) for step in range(steps)]).reshape(-1, 7, 4)
    ranks = codes + np.array([1, 0, 0, 0])
    sizes = (ranks > 0).sum(2)
    assert all(((sizes == n).sum(0) == steps).all() for n in (1, 2, 3, 4))
    first = ranks[:, :, 0]
    assert all(((first == k).sum(0) == 4 * steps / 3).all() for k in (1, 2, 3))
    running = (ranks[:, :, 1:] > 0).mean(0)
    assert np.abs(running - running.mean()).max() < 0.12
    with pytest.raises(InputError, match="needs a space of unified blocks, not 'mobile-32'"):
        forced(SPACES["mobile-32"], 0, 0, 4)


def test_a_soft_pass_with_one_hot_probabilities_is_the_hard_pass():
    space = SPACES["unified-32"]
    supernet = make_supernet(space, [0.4] * 3, [0.3] * 3).train()
    x = torch.rand(4, 3, 32, 32)
    for row in forced(space, 1, 0, 2):
        ranks = row.reshape(7, 4) + np.array([1, 0, 0, 0])
        ranks[0, 1:] = 0  # one sub-block alone: no expand convolution
        row = (ranks - np.array([1, 0, 0, 0])).ravel()
        p = F.one_hot(torch.from_numpy(ranks.astype(np.int64)), 4).float().requires_grad_()
        soft = supernet.soft(x, p)
        assert (soft - supernet(x, row)).abs().max() <= 1e-4 * max(1.0, float(soft.detach().abs().max()))
        soft.sum().backward()
        assert p.grad.abs().sum() > 0


def test_training_learns_and_resumes_exactly(tmp_path):
    images = load_dataset("digits").subset(400)
    config = TrainConfig(epochs=4, batch=64, lr=0.1, shift=1, flip=True, cutout=2, checkpoint_steps=7)
    whole = train_supernet(SPACES["mobile-tiny"], images, config).state_dict()

    class Stop(Exception):
        pass

    def stop_at_ten(items, total, what):
        for i, item in enumerate(items):
            if i == 10:
                raise Stop
            yield item

    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(Stop):
        train_supernet(SPACES["mobile-tiny"], images, config, checkpoint=path, progress=stop_at_ten)
    assert int(load_tensors(path)["step"]) == 7
    resumed = train_supernet(SPACES["mobile-tiny"], images, config, checkpoint=path).state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_recalibration_makes_inherited_weights_work():
    from explorer.evaluators.shared_weights import accuracy

    images = load_dataset("digits")
    supernet = train_supernet(SPACES["mobile-tiny"], images, TrainConfig(epochs=14, batch=64, lr=0.1))
    row = smallest(supernet.space)
    raw = accuracy(supernet.subnet(row), images.val)
    fixed = accuracy(recalibrate(supernet.subnet(row), images), images.val)
    assert fixed > raw
    assert fixed > 0.5


def test_a_plain_network_trains_alone():
    from explorer.evaluators.shared_weights import accuracy

    images = load_dataset("digits")
    network = build(SPACES["mobile-tiny"].layers(np.zeros(10, int)), images.mean, images.std, seed=0)
    train_network(network, images, TrainConfig(epochs=8, batch=64, lr=0.1))
    assert accuracy(network, images.val) > 0.8
