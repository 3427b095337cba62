import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.data.datasets import load_dataset
from explorer.devices.counts import params
from explorer.fast.depthwise import depthwise
from explorer.fast.normact import norm_act
from explorer.fast.pointwise import pointwise
from explorer.spaces import SPACES
from explorer.supernets import (
    MobileSupernet,
    TrainConfig,
    build,
    elastic,
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
        assert sum(p.numel() for p in network.parameters()) == sum(map(params, layers))


@pytest.mark.parametrize("name", ["mobile-32", "unified-32"])
def test_counted_macs_are_built_macs(name, rng):
    from torch.utils.flop_counter import FlopCounterMode

    from explorer.devices.counts import macs

    space = SPACES[name]
    for row in space.sample(3, rng):
        layers = space.layers(row)
        network = build(layers).eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(torch.rand(1, 3, 32, 32))
        assert counter.get_total_flops() == 2 * sum(map(macs, layers))


@pytest.mark.parametrize(("channels", "size", "kernel"), [(24, 16, 3), (40, 7, 5), (64, 4, 7), (16, 2, 7), (8, 1, 5)])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_depthwise_gradients_equal_torchs(channels, size, kernel, stride, dilation):
    x = torch.randn(8, channels, size, size, requires_grad=True)
    w = torch.randn(channels, 1, kernel, kernel, requires_grad=True)
    plain = F.conv2d(x, w, None, stride, dilation * (kernel // 2), dilation, channels)
    g = torch.randn_like(plain)
    ours = torch.autograd.grad(depthwise(x, w, stride, dilation), (x, w), g)
    for a, b in zip(ours, torch.autograd.grad(plain, (x, w), g)):
        assert (a - b).abs().max() <= 3e-6 * b.abs().max()


def test_pointwise_and_its_gradients_equal_torchs():
    x = torch.randn(8, 12, 5, 5, requires_grad=True)
    w = torch.randn(24, 16, 1, 1, requires_grad=True)
    ours, plain = pointwise(x, w, 20), F.conv2d(x, w[:20, :12])
    g = torch.randn_like(plain)
    assert torch.allclose(ours, plain, atol=1e-5)
    for a, b in zip(torch.autograd.grad(ours, (x, w), g), torch.autograd.grad(plain, (x, w), g)):
        assert torch.allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_has_the_gradients_of_torchs_own_operations(monkeypatch, stride):
    # one gradient is written over another where nothing else holds it: the residual sum's is held twice
    layer = Layer("mbconv", 16, 16, 8, 5, stride, 48, 8, "hswish", residual=stride == 1, name="b")
    x = torch.randn(8, 16, 8, 8).contiguous(memory_format=torch.channels_last)
    found = []
    for torchs in (False, True):
        if torchs:
            monkeypatch.setattr(elastic, "norm_act", _plain_norm)
            monkeypatch.setattr(elastic, "depthwise", lambda x, w, s: F.conv2d(x, w, None, s, 2, 1, len(w)))
            monkeypatch.setattr(elastic, "pointwise", lambda x, w, cout=None: F.conv2d(x, w[:cout, : x.shape[1]]))
        torch.manual_seed(0)
        block, leaf = elastic.ElasticMBConv(replace(layer, mid=64), (3, 5, 7)), x.clone().requires_grad_()
        block(leaf * 1, layer).pow(3).sum().backward()
        found.append([leaf.grad, *(p.grad for p in block.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1]) > 8
    for a, b in zip(*found):
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()))


LOOPS = """
import hashlib, torch
from torch import nn
from explorer.fast.depthwise import depthwise
from explorer.fast.normact import norm_act
torch.manual_seed(0)
torch.set_num_threads(1)
x, w, norm = torch.randn(8, 24, 8, 8, requires_grad=True), torch.randn(24, 1, 5, 5, requires_grad=True), nn.BatchNorm2d(24)
norm_act(depthwise(norm_act(x, norm, "hswish"), w), norm, "relu").pow(3).sum().backward()
print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in (x.grad, w.grad, norm.weight.grad, norm.running_var))).hexdigest())
"""


def test_who_compiled_the_loops_makes_no_difference(tmp_path):
    given = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_NUM_THREADS": "1"}
    runs = [
        subprocess.run([sys.executable, "-c", LOOPS], env=given, capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert runs[0].stdout == runs[1].stdout


def _plain_norm(x, norm, act, index=None, owned=False):
    c = x.shape[1]
    return _torch_act(F.batch_norm(x, None, None, norm.weight[:c], norm.bias[:c], True), act)


@pytest.mark.parametrize("act", ["none", "relu", "hswish"])
def test_norm_act_equals_torchs(act):
    x = torch.randn(16, 24, 9, 9) * 3 + 1
    results = []
    for run in (
        lambda x, n: norm_act(x, n, act),
        lambda x, n: norm_act(x, n, act, torch.arange(24)),
        lambda x, n: norm_act(x, n, act, owned=True) * 1,
        lambda x, n: _torch_act(n(x), act),
    ):
        torch.manual_seed(0)
        norm = nn.BatchNorm2d(24)
        nn.init.uniform_(norm.weight, 0.5, 2)
        nn.init.uniform_(norm.bias, -1, 1)
        leaf = x.clone().requires_grad_()
        y = run(leaf, norm)
        y.backward(torch.linspace(-1, 1, y.numel()).view_as(y))
        results.append((y, leaf.grad, norm.weight.grad, norm.bias.grad, norm.running_mean, norm.running_var))
    for *ours, torchs in zip(*results):
        for a in ours:
            assert torch.allclose(a, torchs, rtol=1e-4, atol=1e-4 * float(torchs.detach().abs().max()))


def _torch_act(x, act):
    return {"none": lambda v: v, "relu": F.relu, "hswish": F.hardswish}[act](x)


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
        ranks[:, 1] = np.maximum(ranks[:, 1], 1)  # with one sub-block alone a network has no expand convolution
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
