import csv
import gzip
import itertools

import numpy as np
import pytest
import torch

from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.onnx_session import open_session
from explorer.devices import load_device
from explorer.devices.graph import network_graph
from explorer.devices.plan import all_layers
from explorer.spaces import SPACES
from explorer.spaces.cell import EDGES, NONE, OPERATIONS, SKIP
from explorer.supernets import build

SPACE = SPACES["nasbench201"]
NEW = {  # one of each kind that the other spaces do not have
    type(layer): layer
    for name in ("nasbench301", "nsganet-micro")
    for row in SPACES[name].sample(9, np.random.default_rng(0))
    for layer in SPACES[name].layers(row)
    if not getattr(layer, "affine", True) or layer.op == "strips"
}


@pytest.fixture
def rows(reference):
    with gzip.open(reference("nasbench201/nb201_train.csv.gz"), "rt") as file:
        return list(csv.DictReader(file))


def options(text):
    words = [word for word in text.replace("+", "").split("|") if word]
    return [OPERATIONS.index(word.split("~")[0]) for word in words]


def test_counts_are_those_of_the_benchmark_where_nothing_idles(rows):
    """Idle operations are counted there and left out here; so ours never count more."""
    equal = 0
    for row in rows:
        layers = SPACE.layers(SPACE.from_string(row["arch"]))
        ours = np.array([sum(x.macs() for x in layers), sum(x.params() for x in layers)]) / 1e6
        theirs = np.array([float(row["macs_m"]), float(row["params_m"])])
        assert (ours <= theirs + 1e-6).all()
        if SPACE.to_string(SPACE.from_string(row["arch"])) == row["arch"]:
            assert np.abs(ours - theirs).max() < 1e-6
            equal += 1
    assert equal > 500


def test_strings_read_back(rows):
    for row in rows[:300]:
        assert SPACE.to_string(options(row["arch"]), canonical=False) == row["arch"]
        once = SPACE.to_string(SPACE.from_string(row["arch"]))
        assert SPACE.to_string(SPACE.from_string(once)) == once


@pytest.mark.parametrize("text", ["", "|none~0|", "|none~0|+|none~0|none~0|+|none~0|none~1|none~2|",
                                  "|none~0|+|none~0|nor_conv_9x9~1|+|none~0|none~1|none~2|"])  # fmt: skip
def test_what_is_no_cell_is_refused(text):
    with pytest.raises(InputError, match="is not a cell"):
        SPACE.from_string(text)


def outputs(row):
    """What a cell can compute when its convolutions share out given weights in any way: a set of numbers.

    Convolutions are two different scalar functions, pooling is a third without weights; x is a number.
    """
    places = [i for i, operation in enumerate(row) if OPERATIONS[operation].startswith("nor_conv")]
    found = set()
    for weights in itertools.permutations([0.7, -1.3, 0.4, 1.9, -0.6, 1.1][: len(places)]):
        weight, nodes = dict(zip(places, weights)), [0.8, 0.0, 0.0, 0.0]
        there = [True, False, False, False]
        for i, (operation, (to, source)) in enumerate(zip(row, EDGES)):
            if operation == NONE or not there[source]:
                continue
            x = nodes[source]
            value = {1: x, 2: np.tanh(weight.get(i, 0) + x), 3: np.sin(weight.get(i, 0) - 2 * x), 4: x**2 - 1}[
                operation
            ]
            nodes[to] += value
            there[to] = True
        found.add(round(float(nodes[3]), 9) if there[3] else None)
    return frozenset(found)


def test_equal_codes_are_equal_functions(rng):
    """Cells without an idle convolution: one canonical form exactly where the reachable outputs are the same."""
    codes = rng.integers(0, 5, (1500, 6)).astype(np.int8)
    canonical = SPACE.canonical(codes)
    convs = [((c == 2) | (c == 3)).sum(1) for c in (codes, canonical)]
    kept = (convs[0] == convs[1]) & (convs[0] <= 4)
    assert kept.sum() > 500
    sets = {tuple(row): outputs(row) for row in np.concatenate([codes[kept], canonical[kept]])}
    for row, own in zip(codes[kept], canonical[kept]):
        assert sets[tuple(row)] == sets[tuple(own)]
    different = {tuple(row): sets[tuple(row)] for row in canonical[kept]}
    assert len(set(different.values())) == len(different)


def test_every_cell_is_enumerated_once():
    cells = SPACE.enumerate()
    assert len(cells) == SPACE.size == 5260
    assert (SPACE.canonical(cells) == cells).all()


@pytest.mark.parametrize("name", ["nasbench201", "darts", "nasbench301", "nsganet-micro"])
def test_counted_is_what_is_built_and_graphs_run(name, rng):
    space = SPACES[name].scaled(width=4, depth=1 if name == "nasbench201" else 3).for_images(1, 7, 28)
    codes = np.concatenate([space.sample(4, rng), np.zeros((1, len(space.decisions)), np.int8)])
    for row in space.canonical(codes):
        layers = space.layers(row)
        network = build(layers, seed=0).eval()
        assert sum(p.numel() for p in network.parameters()) == sum(x.params() for x in layers)
        images = torch.rand(2, 1, 28, 28)
        assert network(images).shape == (2, 7)
        run = open_session(network_graph(layers, 2).SerializeToString()).run(None, {"images": images.numpy()})[0]
        assert run.shape == (2, 7)


@pytest.mark.parametrize("name", ["darts", "nasbench301", "nsganet-micro"])
def test_multiply_accumulates_are_counted_by_hooks_too(name, rng):
    space = SPACES[name].scaled(width=4, depth=3)
    layers = space.layers(space.sample(1, rng)[0])
    total = [0]

    def count(module, inputs, output):
        if isinstance(module, torch.nn.Conv2d):
            per = module.weight.shape[1] * module.weight[0, 0].numel()
            total[0] += per * output[0].numel()
        else:
            total[0] += module.weight.numel()

    network = build(layers, seed=0).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    network(torch.rand(1, 3, 32, 32))
    assert total[0] == sum(x.macs() for x in layers)


@pytest.mark.parametrize("name", ["darts", "nasbench301"])
def test_costs_of_parts_are_costs_of_layers(name, rng):
    space = SPACES[name]
    codes = space.sample(5, rng)
    for cost in ("macs_m", "params_m", "mobile"):
        device = load_device(cost)
        by_hand = [device.offset + device.scale * sum(map(device.price, space.layers(row))) for row in codes]
        assert np.allclose(device.cost(space, codes), by_hand)


@pytest.mark.parametrize("layer", [*sorted(all_layers(SPACES["darts"]), key=lambda x: x.signature)[::2], *SPACE.layers([3, 0, 4, 2, 1, 3]), *NEW.values()],
                         ids=lambda layer: layer.signature)  # fmt: skip
def test_a_layer_alone_can_be_timed_and_reads_back(layer):
    read = Layer.of_signature(layer.signature)
    assert read == layer
    graph = network_graph([layer]).SerializeToString()
    image = np.zeros((1, layer.cin, layer.size, layer.size), np.float32)
    assert open_session(graph).run(None, {"images": image})[0].shape[1] == layer.cout


def test_cut_cells_and_skips_have_no_operators_of_their_own():
    assert SPACE.layers([NONE] * 6)[1].op == "zero"
    skips = SPACE.layers([NONE, NONE, NONE, SKIP, NONE, NONE])
    assert [x.op for x in skips if x.name.startswith("stage1")] == []
    said = load_device("mobile").outside(SPACE, SPACE.canonical(np.array([[3, 0, 0, 3, 0, 3]], np.int8)))
    assert "none fitted" in said


@pytest.mark.parametrize(("name", "size"), [("nasbench201", {"width": 0}), ("darts", {"depth": 2})])
def test_impossible_sizes_are_refused(name, size):
    with pytest.raises(InputError, match="expected at least"):
        SPACES[name].scaled(**size)
