import numpy as np
import pytest
import torch

from explorer.core.config import parse
from explorer.core.errors import InputError
from explorer.data.datasets import load_dataset
from explorer.pruning import (
    PruneConfig,
    PruneSearch,
    Snapshot,
    cell_layers,
    finish,
    load_snapshot,
    save_snapshot,
    stage_ends,
)
from explorer.pruning.masked import cell_of
from explorer.pruning.regrowing import importance
from explorer.supernets import TrainConfig

LAYERS = cell_layers(4, 3, 1, 1, 10, 8)
SMALL = PruneConfig(sizes=(1.0, 0.5, 0.3), warmup=3, rounds=2, steps=3, batch=32)


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


def _search(digits, config=SMALL, stages=3, **options):
    return PruneSearch(LAYERS, digits, config, stage_ends(LAYERS, stages), **options)


class _Stop(Exception):
    pass


def _stopping(after):
    def progress(items, total, what):
        for i, item in enumerate(items):
            if i == after:
                raise _Stop
            yield item

    return progress


def _run(search, folder=None, **options):
    kept = {}
    search.run(lambda share, carved: kept.setdefault(share, carved), folder, **options)
    return kept


def test_every_size_is_kept_and_the_same_seed_gives_the_same_networks(digits, tmp_path):
    first, again = _search(digits), _search(digits)
    kept, same = _run(first), _run(again)
    assert list(kept) == [1.0, 0.5, 0.3]
    for share, carved in kept.items():
        assert abs(carved.params / (share * first.full) - 1) < 0.05
        assert carved.layers == same[share].layers
        for a, b in zip(carved.network.state_dict().values(), same[share].network.state_dict().values()):
            assert torch.equal(a, b)
    rows = first.state.log
    assert rows[-1]["size"] < 0.35
    assert all(0 < row["remaining"][g] <= 1 for row in rows for g in row["remaining"])


def test_a_search_that_was_stopped_ends_in_the_same_networks(digits, tmp_path):
    config = SMALL.model_copy(update={"granularities": ("operation", "filter"), "stage_share": 0.3})
    search = _search(digits, config)
    whole = _run(search)
    with pytest.raises(_Stop):
        _run(_search(digits, config), tmp_path, progress=_stopping(5))
    assert (tmp_path / "search.json").exists()
    went_on = _search(digits, config)
    kept = _run(went_on, tmp_path)
    assert 1.0 not in kept  # it was kept before the stop
    assert went_on.state.narrow == search.state.narrow
    assert any(went_on.state.narrow.values())  # some cells got narrower
    for share, carved in kept.items():
        for a, b in zip(carved.network.state_dict().values(), whole[share].network.state_dict().values()):
            assert torch.equal(a, b)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1


def test_an_early_stage_leaves_later_cells_alone_and_some_grow_again(digits):
    search = _search(digits, SMALL.model_copy(update={"stage_share": 0.2, "regrow": 0.5}))
    stages = [turn.stage for turn in search.turns]
    assert stages == sorted(stages)
    assert set(stages) == {0, 1, 2}
    before = set(search.model.masks.operations)
    with pytest.raises(_Stop):
        _run(search, progress=_stopping(2))
    gone = before - search.model.masks.operations
    assert gone
    assert all(name.startswith("stage1") for name in gone)
    search._regrow(1)
    grown = gone & search.model.masks.operations
    assert len(grown) == len(gone) // 2
    for name in grown:
        assert float(search.model.unit(name).strength.detach()) == 0


def test_every_stage_begins_with_fresh_thresholds_and_a_warm_up(digits):
    """Also where its first size is reached already: what has grown again gets a fair start."""
    search, begun = _search(digits, SMALL.model_copy(update={"sizes": (0.98, 0.3), "regrow": 0.0})), []
    train = search._train

    def watched(end, steps, number, attempt, weight):
        if not weight:
            begun.append((end, all(float(unit.t_operation.detach()) == 0 for unit in search.model.units.values())))
        return train(end, steps, number, attempt, weight)

    search._train = watched
    _run(search)
    assert begun == [(end, True) for end in search.ends]


def test_what_is_removed_was_asked_for_by_the_thresholds(digits):
    """The weight of the size loss rises until they ask for the size of the round; only then is it cut to."""
    search = _search(digits, SMALL.model_copy(update={"steps": 20, "patience": 20, "threshold_lr": 0.5}))
    kept = _run(search)
    for row in search.state.log:
        assert row["asked"] <= search.turns[row["round"]].share
    assert abs(kept[0.3].params / (0.3 * search.full) - 1) < 0.05
    hurried = _search(digits, SMALL.model_copy(update={"patience": 1}))
    _run(hurried)
    assert any(row["asked"] > hurried.turns[row["round"]].share for row in hurried.state.log)  # it did not wait


def test_the_optimiser_goes_on_from_round_to_round(digits):
    search, seen = _search(digits, SMALL.model_copy(update={"patience": 1, "stages": 1}), stages=1), []
    train = search._train

    def watched(*given):
        moving = [s["momentum_buffer"].clone() for s in search.optimizer.state.values() if "momentum_buffer" in s]
        seen.append(len(moving))
        return train(*given)

    search._train = watched
    _run(search)
    assert seen[0] == 0
    assert all(seen[1:])


def test_operations_whose_strength_was_moving_are_more_important(digits):
    search = _search(digits)
    model = search.model
    layers = {layer.name for layer in model.layers}
    moved = next(iter(model.operations))
    places, kinds = importance(model, layers, lambda name: float(name == moved))
    assert places[cell_of(moved)] == max(places.values()) == 1
    assert kinds[model.operations[moved].kind] == max(kinds.values())
    assert min(places.values()) == pytest.approx(0.5)  # the strengths are equal


def test_one_stage_searches_all_at_once(digits):
    search = _search(digits, SMALL.model_copy(update={"stages": 1}), stages=1)
    assert {turn.stage for turn in search.turns} == {0}
    assert not search.heads


def test_sizes_that_cannot_be(digits):
    for sizes in ((0.0,), (1.2, 0.5), (0.2, 0.5), ()):
        with pytest.raises(InputError, match="sizes"):
            parse(PruneConfig, {"sizes": sizes}, "test")
    with pytest.raises(InputError, match="granularities"):
        parse(PruneConfig, {"granularities": []}, "test")
    with pytest.raises(InputError, match="smallest possible size is"):
        _search(digits, SMALL.model_copy(update={"sizes": (0.001,)}))


def test_a_snapshot_comes_back_and_its_masked_weights_stay_zero(digits, tmp_path):
    kept = _run(_search(digits))
    snapshot = Snapshot(0.3, kept[0.3], {"operation": 0.5, "filter": 1.0, "weight": 0.5}, {})
    assert snapshot.carved.masked > 0
    save_snapshot(tmp_path / "a.safetensors", snapshot)
    back = load_snapshot(tmp_path / "a.safetensors")
    assert back.carved.layers == snapshot.carved.layers
    assert back.carved.params == snapshot.carved.params
    back.carved.network.preprocess = snapshot.carved.network.preprocess
    x = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(back.carved.network(x), snapshot.carved.network(x))
    done = finish(back, digits, TrainConfig(epochs=0.5, batch=32, lr=0.05))
    assert 0 < done.accuracy <= 1
    for layer, tensors in back.carved.masks.items():
        for name, mask in tensors.items():
            weight = getattr(done.carved.network.block(layer), name).weight.detach().numpy()
            assert (weight[~mask] == 0).all()
            assert not mask.any() or (weight[mask] != 0).any()
    (tmp_path / "b.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="not a pruned network"):
        load_snapshot(tmp_path / "b.safetensors")


def test_a_trained_network_can_be_carved(digits):
    from explorer.study import open_study

    study = open_study("digits")
    best = study.architecture(study.front("mobile")["key"].iloc[-1])
    network = study.network(best)
    layers = list(study.space.layers(best))
    config = PruneConfig(sizes=(1.0, 0.6), rounds=1, steps=5, batch=64, stages=1)
    kept = _run(PruneSearch(layers, digits, config, (), network))
    from explorer.evaluators.shared_weights import accuracy

    inherited = study.evaluate([best])[0]
    assert accuracy(kept[1.0].network, digits.val) == pytest.approx(inherited, abs=1e-9)  # nothing has happened to it
    assert kept[0.6].params < 0.63 * kept[1.0].params
    assert np.isfinite(accuracy(kept[0.6].network, digits.val))
