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
from explorer.pruning.cutting import Learned, cut_to, smallest
from explorer.pruning.gates import step
from explorer.pruning.graph import prefix, read_only
from explorer.pruning.masks import Masks, remaining
from explorer.pruning.narrowing import _strongest, _width, channels_left, narrowed
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
    with torch.no_grad():
        for unit in model.units.values():
            unit.t_operation.fill_(0.5)
            unit.t_filter.fill_(0.4)
            unit.t_weight.fill_(0.3)
    masks = model.learned(model.running).cut(model.masks, _nodes(model), 2 * at)
    model.commit(masks)
    model.settle(model.running, 2 * at)
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

    least = smallest(model.learned(model.running), model.masks, _nodes(model), layers_of)
    before = model.masks
    for share in (0.7, 0.5, 0.3):
        if share * full < least:
            continue
        masks, _ = cut_to(share * full, model.learned(model.running), model.masks, _nodes(model), layers_of)
        model.commit(masks)
        assert abs(remaining(model.running, masks) / (share * full) - 1) < 0.05
        assert masks.operations <= before.operations  # nothing comes back
        assert all((masks.filters[n] <= before.filters[n]).all() for n in before.filters)
        before = masks
        ratios = model.ratios()
        assert all(ratios[g] == 1 for g in GRANULARITIES if g not in granularities)
        assert any(ratios[g] < 1 for g in granularities)
    everything = model.learned(model.running).cut(model.masks, _nodes(model), np.inf)
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


def test_a_factor_on_all_thresholds_keeps_their_proportions():
    """What the thresholds learned decides from what is removed, also where a target size asks for more, or for less."""
    rng = np.random.default_rng(0)
    operations = {f"b{i}": (0.02 * i, 0.1) for i in range(1, 50)}
    filters = {"x": (np.r_[-np.inf, rng.random(99)], 0.2), "y": (rng.random(100), 0.0)}
    weights = {"x": {"0": (5 * rng.random((50, 20, 1, 1)), 1.0)}}
    learned, masks = Learned(operations, filters, weights), Masks(set(operations))
    nodes = dict.fromkeys(operations, "")
    for factor in (0.5, 1.0, 3.0):
        cut = learned.cut(masks, nodes, factor)
        assert cut.operations == {name for name, (value, _) in operations.items() if value > 0.1 * factor}
        assert (cut.filters["x"] == (filters["x"][0] > 0.2 * factor)).all()
        assert not cut.filters["x"][0]  # nothing comes back
        assert cut.filters["y"].sum() >= 98  # its threshold did not rise
        assert (cut.weights["x"]["0"] == (weights["x"]["0"][0] > factor)).all()
    assert learned.cut(masks, nodes, 1.0, frozenset({"b1"})).operations >= {"b1"}


@pytest.mark.parametrize("factor", [0.6, 1.0, 2.5])
def test_nothing_that_is_kept_is_switched_off(factor):
    """Guards keep the strongest of everything; after a cut no threshold is above what was kept."""
    model, x = _masked(_cells(nodes=3))
    with torch.no_grad():
        for unit in model.units.values():
            unit.t_operation.fill_(0.6)
            unit.t_filter.fill_(0.5)
            unit.t_weight.fill_(0.5)
    model.commit(model.learned(model.running).cut(model.masks, _nodes(model), factor))
    model.settle(model.running, factor)
    for name, gate in model._gates.items():
        if name in {layer.name for layer in model.running}:
            assert ((gate.scales() > 0) == (gate.keep > 0)).all()
    for convs in (model._weights[layer.name] for layer in model.running if layer.name in model._weights):
        for conv in convs.values():
            assert ((conv.weight != 0) == (conv.parametrizations.weight[0].keep > 0)).all()


def test_narrower_cells_are_the_same_network_where_only_dead_channels_go():
    model, x = _masked(_cells(nodes=2))
    cells, masks = ["stage1.1", "stage2.2"], model.masks
    for layer in model.layers:  # the first and the last channel of these cells' nodes are pruned everywhere
        if layer.name[:8] in cells and (own := model.strengths(layer.name)) is not None:
            masks.filters[layer.name] = ~np.isin(np.arange(len(own)), [0, len(own) - 1])
    whole = {n for n in model.operations if n[:8] in cells and (".skip." in n or ".avg_3." in n or ".max_3." in n)}
    model.commit(Masks(masks.operations - whole, masks.filters, masks.weights))
    with torch.no_grad():
        expected = model(x)
        left = channels_left(model, cells)
        new = narrowed(model, left).eval()
        assert {cell: int(keep.sum()) for cell, keep in left.items()} == {"stage1.1": 2, "stage2.2": 6}
        assert torch.allclose(new(x), expected, atol=1e-5)
    _check_layers(new.layers)
    assert new.operations.keys() == model.operations.keys()  # what was pruned may grow again
    assert remaining(new.running, new.masks) == remaining(model.running, model.masks)
    assert new.left()["stage1.1"]["filter"] == model.left()["stage1.1"]["filter"]
    assert sum(p.numel() for p in new.network.parameters()) < sum(p.numel() for p in model.network.parameters())
    assert new.learned(new.running).operations == model.learned(model.running).operations


def test_a_cell_is_as_wide_as_its_filters_are_left_on_average_but_at_least_half():
    assert [_width(16, left) for left in ([9, 11, 16], [3, 4, 10], [1, 2, 3], [16, 16], [8, 9])] == [12, 10, 8, 16, 8]
    kept = _strongest(np.array([5.0, 4, 3, 0, 0, 1, 9, 8]), 4)
    assert np.flatnonzero(kept).tolist() == [0, 1, 6, 7]
