import json
import time
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from explorer.core.architecture import key_of
from explorer.core.errors import InputError
from explorer.devices import load_device, read_block_table
from explorer.devices.population import cheapest, costs_of, dearest, nearest, overshoot, prices
from explorer.generators import METHODS, BudgetCode, is_cheap, open_generator, train_generator
from explorer.generators.experts import Budgets, Experts
from explorer.generators.family import Family
from explorer.generators.pnag import Controller, DominanceEvaluator, PnagConfig, dominance, tokens_of
from explorer.generators.settings import ExpertConfig
from explorer.generators.sgnas import SgnasConfig
from explorer.spaces import SPACES
from explorer.spaces.operators import mutate, one_hot
from explorer.testing import check_device, check_evaluator, check_generator
from tests.searches.test_search import Synthetic

DEVICES = ("mobile", "cpu", "gpu")


QUICK = {
    "pnag": PnagConfig(iterations=150, ranker_steps=200, requests=32, draws=16, evaluations=1500),
    "expert": ExpertConfig(budgets=512, rounds=40, steps=12),
    "sgnas": SgnasConfig(steps=300),
}


SHORT = {
    "pnag": PnagConfig(iterations=10, ranker_steps=20, requests=16, draws=8, evaluations=300),
    "expert": ExpertConfig(budgets=64, rounds=10, pool=200),
    "sgnas": SgnasConfig(steps=20, judged=300),
}


@cache
def trained(method):
    """A generator trained for a few seconds on the enumerable space."""
    space = SPACES["mobile-tiny"]
    devices = [load_device(name) for name in DEVICES]
    return train_generator(space, Synthetic(space), devices, method, config=QUICK[method]), space, devices


@pytest.fixture(params=METHODS)
def tiny(request):
    """Every kind of generator."""
    return trained(request.param)


@pytest.fixture
def pnag():
    """The published one."""
    return trained("pnag")


def test_parameters_are_those_of_the_public_code():
    space = SPACES["mobilenetv3-w1.2"].restrict({"r": (224,)})
    genes, kinds, options = tokens_of(space)
    names = list(space.decisions)
    tokens = [names[g] for g in genes]
    assert tokens[:9] == ["d1", "e1.1", "k1.1", "e1.2", "k1.2", "e1.3", "k1.3", "e1.4", "k1.4"]
    searched = [(k, t) for k, t in zip(kinds, tokens) if t != "r"]
    assert len(searched) == 45
    count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
    assert count(Controller([k for k, _ in searched], options[:3], code=5)) == 34_761
    assert count(DominanceEvaluator(bits=120, code=5)) == 327_681
    assert BudgetCode(("mobile",), (80.0,), (200.0,), 5).width == 5


def test_labels_follow_the_rule():
    accuracy = np.array([[0.9, 0.8, 0.7, 0.9]])
    costs = np.array([[[5.0], [3.0], [2.0], [9.0]]])
    label = dominance(accuracy, costs, np.array([[4.0]]))[0]
    assert label[1, 2] == 1  # both fit: accuracy
    assert label[1, 0] == 1  # one fits: lower cost
    assert label[0, 3] == 1  # none fits: lower cost
    assert (label == -label.T).all()
    assert dominance(accuracy, costs, np.array([[np.nan]]))[0][0, 3] == 0  # no budget, equal accuracy: a tie


@given(budget=st.floats(0.5, 20), seed=st.integers(0, 100))
@settings(max_examples=60, deadline=None)
def test_budget_codes_interpolate(budget, seed):
    code = BudgetCode(("a", "b"), (1.0, 2.0), (10.0, 8.0), 6)
    row = code(np.array([[budget, np.nan]]))[0]
    assert abs(row[:6].sum() - 1) < 1e-5
    assert (row[:6] > 0).sum() <= 2
    assert row[6] == 0
    assert row[7:13].sum() == 0
    assert row[13] == 1
    position = (row[:6] * np.arange(6)).sum() / 5
    assert abs(position - np.clip(np.log(budget) / np.log(10), 0, 1)) < 1e-5


def test_it_conforms(tiny):
    generator, space, devices = tiny
    check_generator(generator, space, devices)


def test_it_follows_the_budget_on_an_enumerable_space(tiny):
    generator, space, devices = tiny
    codes = space.enumerate()
    costs = costs_of(space, devices, codes)
    accuracy = generator.evaluator.evaluate(codes)
    rng = np.random.default_rng(5)
    limits = generator.code.sample(200, costs, rng)
    kept = generator.select(limits)
    assert kept.feasible.all()
    best = np.array([accuracy[overshoot(costs, row[None]) <= 1].max() for row in limits])
    assert (kept.accuracy <= best + 1e-9).all()
    assert (best - kept.accuracy).mean() < 0.25 * (accuracy.max() - accuracy.min())


def test_the_graph_is_the_controller(pnag):
    from safetensors.torch import load

    generator, space, devices = pnag
    genes, kinds, options = tokens_of(space)
    controller = Controller(kinds, options, generator.code.width)
    controller.load_state_dict(load(generator.weights))
    limits = generator.code.sample(50, costs_of(space, devices, space.enumerate()), np.random.default_rng(3))
    asked = torch.from_numpy(generator.code(limits * (1 - generator.margin)))

    def in_gene_order(chosen):
        raw = np.zeros((50, len(genes)), np.int8)
        raw[:, genes] = chosen
        return raw

    chosen, logp, _ = controller(
        asked, torch.zeros(50, len(genes), max(options)), lambda so_far: space.active(in_gene_order(so_far))[:, genes]
    )
    raw = in_gene_order(chosen.numpy())
    assert ((logp == 0).numpy() == ~space.active(raw)[:, genes]).all()  # what is not written earns no credit
    assert (generator.generate(limits, samples=1) == space.canonical(raw)).all()


def test_draws_are_draws_of_the_policy(pnag):
    """Splitting counts over histories gives the distribution that drawing one by one gives."""
    generator, _, _ = pnag

    def rolled_from(rows, draws, seed):
        return generator._roll(np.full((rows, 3), np.nan), draws, np.random.default_rng(seed))[1]

    rolled, one_by_one = rolled_from(1, 20_000, 0), rolled_from(2000, 1, 1)
    assert 2000 <= len(one_by_one) <= 4000  # the most probable network of every row, and its draw where that differs
    assert len(np.unique(rolled, axis=0)) == len(rolled)
    common = {row.tobytes() for row in rolled}
    assert np.mean([row.tobytes() in common for row in one_by_one]) > 0.9


def test_budgets_in_one_pass_are_those_one_by_one(tiny, monkeypatch):
    """Blocks keep requests apart and in order; a raw network depends on its own budget alone."""
    generator, space, devices = tiny
    limits = generator.code.sample(30, costs_of(space, devices, space.enumerate()), np.random.default_rng(4))
    alone = np.concatenate([generator.generate(row[None], samples=1) for row in limits])
    monkeypatch.setattr("explorer.generators.runtime.BLOCK", 7)
    assert (generator.generate(limits, samples=1) == alone).all()


def test_it_is_saved_and_opened(tiny, tmp_path):
    generator, space, devices = tiny
    generator.save(tmp_path / "g.onnx")
    again = open_generator(space, tmp_path / "g.onnx", generator.evaluator, devices)
    limits = np.array([[0.06, np.nan, np.nan]])
    assert (again.generate(limits) == generator.generate(limits)).all()
    assert again.parameters == generator.parameters
    with pytest.raises(InputError, match="not a Pareto Explorer generator"):
        open_generator(space, b"nonsense", generator.evaluator, devices)
    with pytest.raises(InputError, match="21"):
        open_generator(SPACES["mobile-32"], generator.model, generator.evaluator, devices)


def test_limits_have_a_column_per_device(tiny):
    generator, _, _ = tiny
    for limits in (np.array([[0.1]]), np.full((2, 4), 0.1), np.full((1, 1, 3), 0.1)):
        for samples in (1, 32):
            with pytest.raises(InputError, match="one column for each of mobile, cpu, gpu"):
                generator.generate(limits, samples=samples)


def test_a_budget_on_a_device_that_it_does_not_know_is_enforced(tiny):
    generator, space, devices = tiny
    wider = open_generator(space, generator.model, generator.evaluator, [*devices, load_device("params_m")])
    sizes = load_device("params_m").cost(space, space.enumerate())
    limits = np.full((20, 4), np.nan)
    limits[:, 3] = np.linspace(sizes.min() * 1.01, sizes.max(), 20)
    kept = wider.select(limits)
    assert kept.feasible.all()
    assert kept.fallback.mean() < 0.5


def test_cheapest_is_the_cheapest():
    space = SPACES["mobile-tiny"]
    codes = space.enumerate()
    for name in DEVICES:
        device = load_device(name)
        assert device.cost(space, cheapest(space, device)[None])[0] == device.cost(space, codes).min()


def test_nearest_is_the_least_overshoot():
    space = SPACES["mobile-tiny"]
    devices = [load_device(name) for name in DEVICES]
    costs = costs_of(space, devices, space.enumerate())
    for scale in (0.2, 0.7):
        limits = costs.min(0) * scale * np.array([1.0, 1.3, np.nan])
        found = costs_of(space, devices, nearest(space, devices, limits)[None])
        assert overshoot(found, limits)[0] == pytest.approx(overshoot(costs, limits).min())


@pytest.mark.parametrize("method", METHODS)
def test_training_is_reproducible(method):
    space, devices = SPACES["mobile-tiny"], [load_device("mobile")]
    config = {"pnag": PnagConfig(iterations=5, ranker_steps=5, evaluations=100),
              "expert": ExpertConfig(budgets=64, rounds=5), "sgnas": SgnasConfig(steps=5)}[method]  # fmt: skip
    first, again = (train_generator(space, Synthetic(space), devices, method, config=config) for _ in range(2))
    assert first.model == again.model
    assert json.dumps(first.about) == json.dumps(again.about)


def test_experts_are_within_their_budgets_and_get_better():
    space = SPACES["mobile-32"]
    devices = [load_device(name) for name in DEVICES]
    rng = np.random.default_rng(0)
    sizes = space.sample(500, rng)
    family = Family(space, devices, 20, sizes, rng)
    costs = family.costs(sizes)
    few = np.arange(costs.shape[1])
    budgets = Budgets.sample(200, few, 3, costs.min(0), costs.max(0), costs, rng)
    experts = Experts(space, Synthetic(space), family.costs, 3, budgets, sizes[:100], 6)
    experts.consider(space.sample(500, rng))
    before = experts.accuracy.copy()
    for _ in range(10):
        experts.improve(mutate(space, experts.codes, 0.1, rng))
    known = experts.accuracy >= 0
    assert budgets.met(family.costs(experts.codes))[known].all()
    assert np.allclose(experts.accuracy[known], Synthetic(space).evaluate(experts.codes[known]))
    assert (experts.accuracy >= before).all()
    assert (experts.accuracy > before).mean() > 0.5


def test_bad_requests():
    space = SPACES["mobile-tiny"]
    with pytest.raises(InputError, match="unknown generator 'gan'; choose from: expert, pnag, sgnas"):
        train_generator(space, Synthetic(space), [load_device("mobile")], method="gan")
    with pytest.raises(InputError, match="at least one"):
        train_generator(space, Synthetic(space), [])


def test_synthetic_evaluator_conforms():
    check_evaluator(Synthetic(SPACES["mobile-32"]), SPACES["mobile-32"])
    assert one_hot(SPACES["mobile-32"], SPACES["mobile-32"].sample(2, np.random.default_rng(0))).shape == (2, 54)


class Counting(Synthetic):
    asked = 0

    def evaluate(self, codes):
        self.asked += len(codes)
        return super().evaluate(codes)


@pytest.mark.parametrize("method", METHODS)
def test_evaluations_are_about_those_asked_for(method, monkeypatch):
    """Gradient steps evaluate nothing, so there are few of them here."""
    settings, space = METHODS[method].settings, SPACES["mobile-tiny"]
    few = {"expert": {"steps": 2}, "pnag": {"iterations": 20, "ranker_steps": 40}, "sgnas": {"steps": 40}}[method]
    usual = settings.of
    monkeypatch.setattr(settings, "of", lambda evaluations: usual(evaluations).model_copy(update=few))
    evaluator = Counting(space)
    train_generator(space, evaluator, [load_device("macs_m")], method, evaluations=600)
    assert 200 <= evaluator.asked <= 900


def test_what_cannot_be_learned_from_is_refused():
    space = SPACES["mobile-tiny"]
    for evaluations in (1, 0, -3):
        with pytest.raises(InputError, match=f"evaluations = {evaluations}; at least 100"):
            train_generator(space, Synthetic(space), [load_device("mobile")], evaluations=evaluations)

    class Same:
        name, unit = "same", "ms"

        def cost(self, space, codes):
            return np.full(len(codes), 2.0)

    with pytest.raises(InputError, match="device 'same': every network costs 2 ms, so cost cannot be a budget"):
        train_generator(space, Synthetic(space), [Same()])


def test_the_dearest_network_is_within_an_experts_range():
    space, device = SPACES["mobile-32"], load_device("macs_m")
    config = ExpertConfig(budgets=64, rounds=2, steps=2, pool=200)
    generator = train_generator(space, Synthetic(space), [device], "expert", config=config)
    assert generator.code.high[0] == pytest.approx(device.cost(space, dearest(space, device)[None])[0])


def test_an_unknown_cost_meets_no_budget_and_a_free_device_any():
    costs, limits = np.array([[np.nan, 1], [0.5, 1], [0.5, np.nan]]), np.array([1.0, np.nan])
    assert overshoot(costs, limits).tolist() == [np.inf, 0.5, 0.5]
    assert overshoot(costs[1:2], np.array([-1.0, np.nan])).tolist() == [np.inf]
    assert overshoot(costs[1:2], np.array([np.nan, np.nan])).tolist() == [0]


@pytest.mark.parametrize("method", METHODS)
def test_a_table_that_lacks_an_option_still_gives_a_slider(method, reference):
    """The published phone holds 160 pixels and more; smaller images are in the space and have no price."""
    space = SPACES["mobilenetv3-w1.2"].restrict({"r": (128, 160, 192, 224)})
    phone = read_block_table(reference("ofa_note10"), "phone")
    codes = space.sample(200, np.random.default_rng(0))
    resolution = codes[:, list(space.decisions).index("r")]
    small, covered = codes[resolution == 0], codes[resolution > 0]
    assert len(phone.cost(space, covered)) == len(covered)
    with pytest.raises(InputError, match=rf"network {key_of(space, small[0])}: device 'phone' has no .*\(r128 conv"):
        phone.cost(space, codes)
    assert np.isnan(prices(space, phone, codes)).sum() == len(small)
    assert f"no cost for {len(small) / 200:.0%} of these networks" in phone.outside(space, codes)
    devices = [phone, load_device("macs_m")]
    generator = train_generator(space, Synthetic(space), devices, method, config=SHORT[method])
    check_device(phone, space)
    check_generator(generator, space, devices)
    low, high = generator.code.low[0], generator.code.high[0]
    assert np.isfinite([low, high]).all()
    for limits in ([[1.2 * low, np.nan]], [[np.nan, 300.0]], [[np.nan, np.nan]], [[0.01, np.nan]]):
        made = generator.generate(np.array(limits))
        assert np.isfinite(prices(space, phone, made)).all()


def test_a_table_that_covers_no_network_names_what_it_lacks(reference):
    space, phone = SPACES["mobile-32"], read_block_table(reference("ofa_note10"), "phone")
    for ask in (lambda: cheapest(space, phone), lambda: dearest(space, phone), lambda: check_device(phone, space)):
        with pytest.raises(InputError, match="device 'phone' has no measurement of layer 'stem'"):
            ask()


class Watching(Synthetic):
    """It notes on how many threads torch runs while it evaluates."""

    threads = frozenset()

    def evaluate(self, codes):
        self.threads |= {torch.get_num_threads()}
        return super().evaluate(codes)


@pytest.mark.parametrize("method", METHODS)
def test_small_networks_compute_on_one_thread_and_the_evaluator_on_its_own(method):
    """Threads over tiny tensors wait for each other: with one core busy, a training took many times as long."""
    space, before, inside = SPACES["mobile-tiny"], torch.get_num_threads(), set()

    def progress(items, total, what):
        for item in items:
            inside.add(torch.get_num_threads())
            yield item

    torch.set_num_threads(2)
    try:
        evaluator = Watching(space)
        train_generator(space, evaluator, [load_device("mobile")], method, config=SHORT[method], progress=progress)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert inside == {1}
    assert evaluator.threads == {2}


def test_a_predictor_is_fitted_on_one_thread(monkeypatch):
    from explorer.evaluators import Predictor, PredictorConfig, fitting

    real, inside, before = fitting.fit_ensemble, set(), torch.get_num_threads()

    def watched(*arguments):
        inside.add(torch.get_num_threads())
        return real(*arguments)

    monkeypatch.setattr(fitting, "fit_ensemble", watched)
    space = SPACES["mobile-tiny"]
    codes = space.sample(60, np.random.default_rng(0))
    torch.set_num_threads(2)
    try:
        Predictor.fit(space, (codes, Synthetic(space).evaluate(codes)), PredictorConfig(epochs=2, members=1))
    finally:
        torch.set_num_threads(before)
    assert inside == {1}


def test_cheap_evaluations_are_timed_and_an_expensive_one_is_asked_once():
    space = SPACES["mobile-32"]
    assert is_cheap(space, Synthetic(space))

    class Slow(Counting):
        def evaluate(self, codes):
            time.sleep(0.05 * len(codes))
            return super().evaluate(codes)

    slow = Slow(space)
    assert not is_cheap(space, slow)
    assert slow.asked == 1


@pytest.mark.parametrize("method", METHODS)
def test_the_default_reports_its_hypervolume_beside_nsga2(method, monkeypatch):
    """Where evaluations are cheap, more are used; and what the generator is worth stands beside a published search."""
    space = SPACES["mobile-tiny"]
    evaluator = Counting(space)
    monkeypatch.setattr(type(QUICK[method]), "of", classmethod(lambda cls, evaluations: QUICK[method]))
    monkeypatch.setattr("explorer.generators.MANY", 6_000)
    monkeypatch.setattr("explorer.generators.USUAL", 2_000)
    generator = train_generator(space, evaluator, [load_device("mobile")], method)
    compared = generator.compared
    assert compared["evaluations"] == 6_000
    assert compared["generated"] > 0.95 * compared["nsga2"] > 0
    assert train_generator(space, evaluator, [load_device("mobile")], method, config=SHORT[method]).compared == {}
