"""One generator for any device: descriptions, the family that it is trained on, and devices that it never saw."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load

from explorer.core.front import hypervolume
from explorer.devices import load_device
from explorer.devices.population import costs_of
from explorer.generators import open_generator, train_generator
from explorer.generators.budgets import positions
from explorer.generators.descriptions import Reference
from explorer.generators.expert import Network
from explorer.generators.experts import Budgets
from explorer.generators.family import Family
from explorer.generators.settings import ExpertConfig
from explorer.searches import search
from explorer.spaces import SPACES
from tests.generators.test_generators import trained
from tests.searches.test_search import Synthetic

FIRST = Path(__file__).parent / "files" / "expert-first-edition.onnx"


@dataclass(frozen=True)
class Priced:
    """A stranger's device: a name, a unit, a cost."""

    name: str
    price: object
    unit: str = "ms"

    def cost(self, space, codes):
        return self.price(space, codes)


def scaled(device, factor):
    return Priced(device.name, lambda space, codes: factor * device.cost(space, codes))


def test_a_description_does_not_depend_on_the_unit():
    space = SPACES["mobile-32"]
    device = load_device("cpu")
    ours, theirs = (Reference(space).of([d]) for d in (device, scaled(device, 1000.0)))
    assert np.allclose(ours.features, theirs.features, atol=1e-4)
    assert np.allclose(1000 * ours.low, theirs.low)
    assert ours.usable.all()


def test_devices_without_a_range_have_no_description():
    space = SPACES["mobile-tiny"]
    flat = Priced("flat", lambda space, codes: np.full(len(codes), 3.0))
    free = Priced("free", lambda space, codes: np.zeros(len(codes)))
    found = Reference(space).of([flat, free, load_device("cpu")])
    assert found.usable.tolist() == [False, False, True]
    assert np.isfinite(found.features).all()
    generator, _, devices = trained("expert")
    wider = open_generator(space, generator.model, generator.evaluator, [*devices, flat])
    assert "flat" not in wider.code.devices
    limits = np.array([[np.nan, np.nan, np.nan, 2.0], [0.12, np.nan, np.nan, 4.0]])
    assert wider.select(limits).feasible.tolist() == [False, True]


@given(st.floats(0.5, 20), st.integers(2, 20))
@settings(max_examples=50, deadline=None)
def test_positions_interpolate(limit, anchors):
    code = positions(np.array([limit, np.nan]), np.array([1.0, 1.0]), np.array([10.0, 10.0]), anchors)
    assert (code[1] == 0).all()
    assert code[0].sum() == pytest.approx(1, abs=1e-5)
    at = (code[0] * np.arange(anchors)).sum() / (anchors - 1)
    assert at == pytest.approx(np.clip(np.log10(limit), 0, 1), abs=1e-5)


@pytest.mark.parametrize("name", ["mobile-tiny", "lite-w1.0", "mobilenetv3-w1.0"])
def test_a_family_has_the_given_devices_first_and_plausible_ones(name, rng):
    space, given = SPACES[name], [load_device("mobile"), load_device("params_m")]
    codes = space.sample(300, rng)
    family = Family(space, given, 40, codes, rng)
    costs = family.costs(codes)
    assert np.allclose(costs[:, :2], costs_of(space, given, codes))
    assert costs.shape == (300, 2 + 4 + 40 + 6)  # the given, their mixtures, random ones, combinations of these
    assert (costs > 0).all()
    assert (costs.std(0) > 0).all()
    order = np.corrcoef(np.log(costs).T)
    assert order.min() < 0.9  # not all of one kind
    assert np.median(order) > 0.3  # but larger networks cost more


def effects(space, cost):
    """How many times as much a network costs, (effects, devices), if all its kernels are large, its expansions, its depths, or both."""
    largest = np.array([len(options) for options in space.decisions.values()]) - 1
    kinds = np.array([name[0] for name in space.decisions])
    base = np.where(kinds == "r", largest, 0)
    rows = [base, *(np.where(np.isin(kinds, list(kind)), largest, base) for kind in ("k", "e", "d", "dk", "de"))]
    found = np.log(cost(space.canonical(np.array(rows, np.int8))))
    return found[1:] - found[:1]


@pytest.mark.parametrize("kind", ["i7-8700k", "mobile", "gpu", "titan-rtx-1", "v100-1", "v100-64"])
def test_real_devices_are_like_some_of_the_family(kind, rng):
    """Bound by overhead, by large kernels or by arithmetic: a random device is near in all effects at once."""
    space, real = SPACES["mobilenetv3-w1.0"], load_device(kind)
    family = Family(space, [load_device("macs_m")], 256, space.sample(1000, rng), rng)
    theirs, own = effects(space, family.costs), effects(space, lambda codes: costs_of(space, [real], codes))
    assert np.abs(theirs - own).max(0).min() < 0.15


def test_budgets_are_met_as_they_say(rng):
    costs = rng.random((50, 6)) + 0.5
    budgets = Budgets.sample(200, np.arange(6), 3, np.full(6, 0.5), np.full(6, 1.5), costs, rng)
    one_each = costs[rng.integers(0, 50, 200)]

    def slowly(row, network):
        bounded = ~np.isnan(budgets.limit[row])
        return (network[budgets.device[row][bounded]] <= budgets.limit[row][bounded]).all()

    assert budgets.met(one_each).tolist() == [slowly(i, network) for i, network in enumerate(one_each)]
    assert budgets.met_by_each(costs[:20]).tolist() == [[slowly(i, c) for c in costs[:20]] for i in range(200)]
    counts = (~np.isnan(budgets.limit)).sum(1)
    assert set(counts) == {0, 1, 2, 3}
    assert (Budgets.sample(50, np.arange(6), 3, np.full(6, 0.5), np.full(6, 1.5), costs, rng, 2).limit > 0).sum() == 100


def test_the_graph_is_the_network(rng):
    generator, space, devices = trained("expert")
    state = load(generator.weights)
    network = Network(
        state["entry.0.weight"].shape[1], len(state["trunk.5.bias"]), len(state["entry.0.bias"]),
        len(state["entry.2.bias"]), 3,
    )  # fmt: skip
    network.load_state_dict(state)
    limits = generator.code.sample(40, costs_of(space, devices, space.enumerate()), rng)
    found = Reference(space).of(devices)
    at = positions(generator.asked(limits), found.low, found.high, generator.code.anchors)
    read = torch.from_numpy(np.concatenate([np.broadcast_to(found.features, (40, *found.features.shape)), at], 2))
    with torch.no_grad():
        logits = network(read, torch.from_numpy((~np.isnan(limits)).astype(np.float32))[:, :, None]).numpy()
    parts = np.split(logits, np.cumsum([len(o) for o in space.decisions.values()])[:-1], axis=1)
    raw = space.canonical(np.column_stack([part.argmax(1) for part in parts]).astype(np.int8))
    assert (generator.generate(limits, samples=1) == raw).all()


def test_the_order_of_devices_and_free_ones_do_not_matter(rng):
    generator, space, devices = trained("expert")
    limits = generator.code.sample(40, costs_of(space, devices, space.enumerate()), rng)
    turned = open_generator(space, generator.model, generator.evaluator, devices[::-1])
    assert (turned.generate(limits[:, ::-1], samples=1) == generator.generate(limits, samples=1)).all()
    alone = open_generator(space, generator.model, generator.evaluator, devices[:1])
    only = np.where(np.arange(3) == 0, np.nan_to_num(limits, nan=0.1), np.nan)
    assert (alone.generate(only[:, :1], samples=1) == generator.generate(only, samples=1)).all()


def test_a_device_that_it_never_saw_is_answered_for_by_its_description():
    space = SPACES["mobile-32"]
    evaluator, unseen = Synthetic(space), load_device("params_m")
    config = ExpertConfig(budgets=1024, rounds=60, pool=1000)
    generator = train_generator(space, evaluator, [load_device("mobile")], "expert", config=config)
    at_once, misled = (open_generator(space, generator.model, evaluator, [unseen]) for _ in range(2))
    misled._features = Reference(space).of([load_device("mobile")]).features
    limits = np.geomspace(1.01 * at_once.code.low[0], at_once.code.high[0], 100)[:, None]
    front = search(space, evaluator, [unseen], "memetic", 20_000, 0)
    corner = (1.0, 1.1 * at_once.code.high[0])

    def volume(codes):
        costs = costs_of(space, [unseen], codes)
        return hypervolume(evaluator.evaluate(codes), costs, corner)

    best, raw = hypervolume(front.accuracy, front.costs, corner), at_once.generate(limits, samples=1)
    assert volume(raw) > 0.95 * best
    assert volume(raw) > volume(misled.generate(limits, samples=1))
    kept = at_once.select(limits)
    assert kept.feasible.all()
    assert volume(kept.codes) > 0.98 * best


def test_a_new_device_gets_draws_of_its_own():
    generator, space, devices = trained("expert")
    new = Priced("new", lambda space, codes: load_device("v100-1").cost(space, codes))
    wider = open_generator(space, generator.model, generator.evaluator, [*devices, new])
    (_, usual), (alone, more) = wider._fixed_limits()
    assert more > usual
    assert np.isnan(alone[:, :3]).all()
    assert (alone[0, 3], alone[-1, 3]) == pytest.approx((wider.code.low[3], wider.code.high[3]))
    assert len(generator._fixed_limits()) == 1


def test_a_file_of_the_first_edition_opens_and_keeps_its_promise():
    space, devices = SPACES["mobile-tiny"], [load_device(name) for name in ("mobile", "cpu", "gpu")]
    generator = open_generator(space, FIRST, Synthetic(space), devices)
    assert generator.code.devices == ("mobile", "cpu")
    assert generator.noise == open_generator(space, FIRST, Synthetic(space), devices).noise > 0
    limits = np.column_stack([np.geomspace(0.095, 0.16, 50), np.full(50, np.nan), np.full(50, np.nan)])
    kept = generator.select(limits)
    assert kept.feasible.all()
    assert (np.diff(kept.accuracy) >= 0).all()
    assert generator.select(np.array([[np.nan, np.nan, 0.1]])).codes.shape == (1, len(space.decisions))
