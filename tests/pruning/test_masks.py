import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core.layer import Layer
from explorer.core.onnx_session import open_session
from explorer.core.operators import Conv, Scatter
from explorer.pruning import GRANULARITIES, MaskedNetwork, carve, cell_layers, operations_of, without
from explorer.pruning.cutting import Margins, cut_to, smallest
from explorer.pruning.gates import step
from explorer.pruning.graph import prefix, read_only
from explorer.pruning.masks import Masks, remaining
from explorer.spaces import SPACES
from explorer.supernets import build
from explorer.testing import _check_layers


def _cells(size=8, nodes=2):
    return cell_layers(4, 3, nodes, 1, 10, size)


def _mobile():
    space = SPACES["mobile-32"].for_images(1, 10, 28)
    return list(space.layers([1] * len(space.decisions)))


def _masked(layers, granularities=GRANULARITIES, seed=0):
    """A masked network with random strengths and settled statistics."""
    model = MaskedNetwork(layers, build(layers, (0.3,), (0.3,), seed), granularities)
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if name.endswith(("strength", "filters")):
                p.copy_(torch.randn(p.shape, generator=noise))
        x = torch.rand(16, 1, layers[0].size, layers[0].size, generator=noise)
        model.train()
        for _ in range(20):
            model(x)
    return model.eval(), x


def _nodes(model):
    return {op.name: "" if op.node == op.name else op.node for op in model.operations.values()}


@pytest.mark.parametrize(("layers", "count"), [(_cells(nodes=4), 3 * 14 * 7), (_mobile(), 5)])
def test_operations_are_found_and_can_go(layers, count):
    operations = operations_of(layers)
    assert len(operations) == count
    _check_layers(layers)
    by_node = {}
    for op in operations.values():
        by_node.setdefault(op.node, []).append(op.name)
    gone = [names[0] for node, names in by_node.items()]
    left = without(layers, gone, operations)
    _check_layers(left)
    assert {layer.name for layer in left}.isdisjoint(gone)
    assert build(left)(torch.rand(2, 1, layers[0].size, layers[0].size)).shape == (2, 10)


def test_a_sum_without_inputs_is_refused_and_what_nobody_reads_goes():
    layers = _cells(nodes=1)
    operations = operations_of(layers)
    first = next(layer for layer in layers if layer.op == "add")
    with pytest.raises(ValueError, match="no input"):
        without(layers, first.inputs, operations)
    only = [n for n in first.inputs if not n.endswith("skip.1")]
    left = without(layers, only, operations)
    assert "stage1.1.in0" not in {layer.name for layer in left}  # its readers are gone
    assert read_only(left) == left
    part = prefix(layers, "stage1.1.out", 7)
    assert part[-1].cout == 7
    assert "stage2.2.out" not in {layer.name for layer in part}


def test_the_surrogate_gradient_is_the_published_one():
    x = torch.tensor([-1.5, -0.7, -0.2, 0.1, 0.4, 0.9, 2.0], requires_grad=True)
    y = step(x)
    assert y.tolist() == [0, 0, 0, 1, 1, 1, 1]
    y.sum().backward()
    assert torch.allclose(x.grad, torch.tensor([0, 0.4, 1.2, 1.6, 0.4, 0.4, 0.0]))


@pytest.mark.parametrize("layers", [_cells(), _mobile()])
def test_at_the_start_nothing_changes(layers):
    network = build(layers, (0.3,), (0.3,), 0)
    plain = copy.deepcopy(network).train()
    model = MaskedNetwork(layers, network, GRANULARITIES).train()
    x = torch.rand(4, 1, layers[0].size, layers[0].size)
    assert torch.equal(plain(x), model(x))
    assert remaining(model.running, model.masks) == sum(x.params() for x in layers)


@pytest.mark.parametrize("layers", [_cells(), _mobile()])
@settings(max_examples=8, deadline=None)
@given(at=st.floats(0.05, 0.9), seed=st.integers(0, 9))
def test_the_carved_network_is_the_masked_one_and_smaller(layers, at, seed):
    model, x = _masked(layers, seed=seed)
    masks = model.margins(model.running).cut(model.masks, _nodes(model), at)
    model.commit(masks)
    with torch.no_grad():
        expected = model(x)
        carved = carve(model)
        found = carved.network(x)
    _check_layers(carved.layers)
    assert (expected - found).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))
    assert carved.params == remaining(model.running, model.masks)
    assert sum(p.numel() for p in carved.network.parameters()) == sum(x.params() for x in carved.layers)
    assert sum(x.macs() for x in carved.layers) <= sum(x.macs() for x in layers)  # masked weights alone save none
    assert {layer.name for layer in model.running} <= {layer.name for layer in carved.layers}
    assert sum(row["operation"][0] for row in model.left().values()) == len(operations_of(model.running))


@pytest.mark.parametrize("granularities", [*((g,) for g in GRANULARITIES), GRANULARITIES])
def test_sizes_are_met_and_guards_hold(granularities):
    model, _ = _masked(_cells(nodes=3), granularities)
    full = remaining(model.running, model.masks)

    def layers_of(masks):
        return model.upto(None, masks)

    least = smallest(model.margins(model.running), model.masks, _nodes(model), layers_of)
    before = model.masks
    for share in (0.7, 0.5, 0.3):
        if share * full < least:
            continue
        masks, _ = cut_to(share * full, model.margins(model.running), model.masks, _nodes(model), layers_of)
        model.commit(masks)
        assert abs(remaining(model.running, masks) / (share * full) - 1) < 0.05
        assert masks.operations <= before.operations  # nothing comes back
        assert all((masks.filters[n] <= before.filters[n]).all() for n in before.filters)
        before = masks
        ratios = model.ratios()
        assert all(ratios[g] == 1 for g in GRANULARITIES if g not in granularities)
        assert any(ratios[g] < 1 for g in granularities)
    everything = model.margins(model.running).cut(model.masks, _nodes(model), np.inf)
    assert all(layer.joins >= 1 for layer in model.upto(None, everything) if layer.op == "add")
    assert all(mask.any() for mask in everything.filters.values())
    assert all(mask.any() for own in everything.weights.values() for mask in own.values())


def test_a_cell_that_nobody_reads_is_gone():
    model, x = _masked(_cells())
    first = {name for name, op in model.operations.items() if name.startswith("stage3.3.") and name[-1] == "1"}
    assert first
    model.commit(Masks(set(model.operations) - first))
    assert not any(layer.name.startswith("stage2.2") for layer in model.running)
    assert model.left()["stage2.2"]["operation"][0] == 0
    assert model.left()["stage1.1"]["operation"][0] == model.left()["stage1.1"]["operation"][1]
    with torch.no_grad():
        assert (carve(model).network(x) - model(x)).abs().max() <= 1e-5


def test_scattered_channels_are_timed_and_run():
    from explorer.devices.graph import network_graph

    layer = Scatter(2, 5, 4, name="s", inputs=("stem",), places=(3, 1))
    layers = [Conv(1, 2, 4, 3, name="stem"), layer]
    x = torch.rand(2, 1, 4, 4)
    network = build(layers)
    with torch.no_grad():
        inside, out = network.eval().outputs(x, ["stem", "s"])
    assert torch.equal(out[:, [3, 1]], inside)
    assert float(out[:, [0, 2, 4]].abs().max()) == 0
    session = open_session(bytes(network_graph(layers).SerializeToString()))
    shape = session.run(None, {session.get_inputs()[0].name: x[:1].numpy()})[0].shape
    assert shape == (1, 5, 4, 4)
    assert Layer.of_signature(layer.signature) == layer


def test_beyond_what_was_learned_every_granularity_gives_the_same_share():
    rng = np.random.default_rng(0)
    operations = {"a": -0.1, **{f"b{i}": 0.5 + 1e-4 * i for i in range(19)}}  # nearly equal: no cliff
    filters = {"x": rng.random(60), "y": np.r_[-np.inf, 5 * rng.random(39)]}
    weights = {"x": {"0": 9 * rng.random((20, 5, 1, 1))}}
    ranked = Margins(operations, filters, weights).ranked()
    masks = Masks(set(operations))
    learned = ranked.cut(masks, dict.fromkeys(operations, ""), 0)
    assert masks.operations - learned.operations == {"a"}
    assert sum((~keep).sum() for keep in learned.filters.values()) == 1
    half = ranked.cut(masks, dict.fromkeys(operations, ""), 0.5)
    assert len(half.operations) == 10
    assert "b18" in half.operations
    assert sum(keep.sum() for keep in half.filters.values()) == pytest.approx(50, abs=1)
    assert half.weights["x"]["0"].sum() == 50
    kept = filters["y"][half.filters["y"]].min()
    assert kept > filters["y"][~half.filters["y"]].max()  # the weakest went
