"""Every fast form against the plain one, and the switch."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from explorer import fast
from explorer.core.errors import InputError
from explorer.core.operators import MBConv
from explorer.fast.depthwise import depthwise
from explorer.fast.memory import keep_memory
from explorer.fast.normact import norm_act
from explorer.spaces import SPACES
from explorer.supernets import elastic
from explorer.supernets.building import build
from explorer.supernets.forms import FastDepthwise, FastNormAct
from explorer.supernets.plain import NormAct


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


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_has_the_gradients_of_torchs_own_operations(monkeypatch, stride):
    # one gradient is written over another where nothing else holds it: the residual sum's is held twice
    layer = MBConv(16, 16, 8, 5, stride, "hswish", 48, 8, residual=stride == 1, name="b")
    x = torch.randn(8, 16, 8, 8).contiguous(memory_format=torch.channels_last)
    found = []
    for torchs in (False, True):
        if torchs:
            monkeypatch.setattr(elastic, "norm_act", _plain_norm)
            monkeypatch.setattr(elastic, "depthwise", lambda x, w, s: F.conv2d(x, w, None, s, 2, 1, len(w)))
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


@pytest.mark.parametrize("act", ["none", "relu", "relu6", "hswish"])
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
    return {"none": lambda v: v, "relu": F.relu, "relu6": F.relu6, "hswish": F.hardswish}[act](x)


def test_the_switch_keeps_what_is_named():
    assert fast.chosen("") == fast.chosen("1") == frozenset(fast.NAMES)
    assert fast.chosen("0") == frozenset()
    assert fast.chosen("depthwise, memory") == {"depthwise", "memory"}
    with pytest.raises(InputError, match="unknown EXPLORER_FAST 'depthwize'; .*depthwise"):
        fast.chosen("depthwize")  # a typo must not switch on what somebody wants to measure without


def test_off_everything_is_plain(monkeypatch):
    monkeypatch.setattr(fast, "ON", frozenset())
    network = build(SPACES["mobile-tiny"].layers([1] * 10), seed=0)
    kinds = {type(module) for module in network.modules()}
    assert NormAct in kinds
    assert not kinds & {FastDepthwise, FastNormAct}
    assert not keep_memory()


@pytest.mark.parametrize("name", ["mobile-32", "unified-32", "darts"])
def test_networks_train_alike_with_and_without(name, monkeypatch):
    """The gradients of whole networks, fast forms on and off."""
    space = SPACES[name].for_images(3, 10, 32)
    layers = space.layers([1] * len(space.decisions))
    images, labels = torch.rand(8, 3, 32, 32), torch.arange(8)
    found = []
    for on in (frozenset(fast.NAMES), frozenset()):
        monkeypatch.setattr(fast, "ON", on)
        network = build(layers, seed=3).train()
        network = network if on else network.double()  # the truth
        F.cross_entropy(network(images.to(next(network.parameters()).dtype)), labels).backward()
        found.append({name: p.grad.double() for name, p in network.named_parameters() if p.grad is not None})
    assert len(found[0]) == len(found[1]) > 20
    for key, gradient in found[0].items():
        true = found[1][key]
        if true.norm() > 1e-6 * max(t.norm() for t in found[1].values()):
            assert F.cosine_similarity(gradient.flatten(), true.flatten(), dim=0) > 0.999, key


SWITCHED = """
import torch
from explorer import fast
from explorer.spaces import SPACES
from explorer.supernets import build
network = build(SPACES["mobile-tiny"].layers([1] * 10), seed=0).eval()
print(sorted(fast.ON), [f"{v:.4f}" for v in network(torch.ones(1, 1, 8, 8)).flatten().tolist()])
"""


def test_the_environment_switches_and_answers_stay():
    runs = [
        subprocess.run([sys.executable, "-c", SWITCHED], env=os.environ | {"EXPLORER_FAST": value}, capture_output=True,
                       text=True, check=True).stdout.strip()
        for value in ("0", "1", "normact")
    ]  # fmt: skip
    assert [run.partition("] ")[0] for run in runs] == [
        "[",
        "['depthwise', 'memory', 'normact'",
        "['normact'",
    ]
    assert len({run.partition("] ")[2] for run in runs}) == 1


FIRST_LOOP = """
import torch
from explorer.fast.depthwise import depthwise
x = torch.randn(4, 8, 16, 16).contiguous(memory_format=torch.channels_last).requires_grad_()
depthwise(x, torch.randn(8, 1, 5, 5).requires_grad_(), 1).sum().backward()
print(torch.get_num_threads())
"""


def test_the_first_compiled_loop_leaves_torchs_threads_alone():
    """Numba starts its threads with it, and OpenMP then counted two for torch, too: other sums, and a busy core."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-c", FIRST_LOOP], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["1"]
