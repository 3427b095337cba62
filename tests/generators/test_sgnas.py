import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load

from explorer.core.front import kendall_tau
from explorer.devices import load_device
from explorer.devices.population import costs_of
from explorer.generators.evaluated import EvaluatedNetworks
from explorer.generators.layout import layout
from explorer.generators.one_pass import prior_around
from explorer.generators.settings import SgnasConfig
from explorer.generators.sgnas import train_sgnas
from explorer.generators.sgnas_network import ArchitectureGenerator
from explorer.generators.signals import ExpectedCost, SupernetSignal
from explorer.spaces import SPACES
from explorer.spaces.operators import option_counts
from explorer.supernets import make_supernet
from tests.searches.test_search import Synthetic


def test_parameters_and_map_are_the_published_ones():
    assert sum(p.numel() for p in ArchitectureGenerator(10).parameters()) == 67_969
    where = layout(SPACES["unified-imagenet"])
    assert (where.rows, where.columns) == (19, 24)
    assert len(np.unique(where.cells)) == 19 * 23  # a first sub-block is never skipped
    assert where.cells[0] == 1


@pytest.mark.parametrize("name", list(SPACES))
def test_every_option_has_a_cell_of_its_own(name, rng):
    space = SPACES[name]
    where = layout(space)
    assert len(np.unique(where.cells)) == option_counts(space).sum()
    codes = space.sample(3, rng)
    assert (where.one_hot(codes).sum((1, 2, 3)) == codes.shape[1]).all()


class _Opaque:
    """A device that is no sum of parts."""

    name, unit = "opaque", "ms"

    def cost(self, space, codes):
        return np.sqrt(load_device("macs_m").cost(space, codes))


@pytest.mark.parametrize("name", ["unified-32", "mobile-32"])
def test_expected_costs_are_exact_for_sums_and_close_for_others(name, rng):
    space = SPACES[name]
    counts = option_counts(space)
    raw = rng.integers(0, counts, (50, len(counts))).astype(np.int8)
    hard = [F.one_hot(torch.from_numpy(raw[:, g].astype(np.int64)), int(c)).float() for g, c in enumerate(counts)]
    for device in (load_device("macs_m"), load_device("mobile")):
        true = device.cost(space, space.canonical(raw))
        assert np.allclose(ExpectedCost(space, device)(hard), true, rtol=1e-4)
    true = _Opaque().cost(space, space.canonical(raw))
    assert kendall_tau(ExpectedCost(space, _Opaque())(hard).numpy(), true) > 0.8
    soft = [torch.full((1, int(c)), 1 / int(c), requires_grad=True) for c in counts]
    ExpectedCost(space, load_device("macs_m"))(soft).sum().backward()
    assert all(p.grad is not None for p in soft)


def test_expected_cost_is_the_mean_over_draws(rng):
    space, device = SPACES["unified-32"], load_device("mobile")
    counts = option_counts(space)
    p = [rng.dirichlet(np.ones(c)) for c in counts]
    draws = np.column_stack([rng.choice(c, 20_000, p=q) for c, q in zip(counts, p)]).astype(np.int8)
    expected = ExpectedCost(space, device)([torch.from_numpy(q[None]).float() for q in p])
    assert float(expected) == pytest.approx(device.cost(space, space.canonical(draws)).mean(), rel=0.01)


@pytest.fixture(scope="module")
def made():
    space, device = SPACES["unified-32"], load_device("macs_m")
    return train_sgnas(space, Synthetic(space), [device], SgnasConfig(steps=500)), space, device


def test_the_raw_networks_cost_follows_the_budget(made):
    generator, space, device = made
    targets = np.geomspace(generator.code.low[0] * 1.3, generator.code.high[0] * 0.95, 100)[:, None]
    codes = generator.generate(targets / (1 - generator.margin), samples=1)
    costs = device.cost(space, codes)
    assert kendall_tau(costs, targets[:, 0]) > 0.95
    assert np.abs(costs / targets[:, 0] - 1).mean() < 0.04


def test_experts_are_the_best_known_networks_that_fit(rng):
    space = SPACES["unified-32"]
    devices = [load_device("macs_m"), load_device("mobile")]
    known = EvaluatedNetworks(space, Synthetic(space), devices)
    assert len(known.add(space.sample(300, rng))) == len(known.codes)
    assert len(known.add(known.codes[:5])) == 0
    known.add(space.sample(10, rng))
    limits = np.array([[3.0, np.nan], [np.nan, 4.0], [4.0, 5.0], [1e-3, np.nan]])
    codes, there = known.experts(limits)
    for row, limit in enumerate(limits):
        fits = (np.isnan(limit) | (known.costs <= limit)).all(1)
        assert there[row] == fits.any()
        if fits.any():
            assert Synthetic(space).evaluate(codes[row][None])[0] == known.accuracy[fits].max()


def test_imitation_pulls_the_logits_towards_the_known_network():
    """One network is known; with imitation alone every budget that it fits gets it."""
    space, device = SPACES["unified-32"], load_device("macs_m")
    config = SgnasConfig(steps=100, imitation=100.0, hardware=0.0)
    ours = space.sample(1, np.random.default_rng(3))[0]

    class OnlyOne:
        def evaluate(self, codes):
            return (codes == ours).all(1).astype(float)

    generator = train_sgnas(space, OnlyOne(), [device], config, known=ours[None])
    above = np.array([[1.3 * device.cost(space, ours[None])[0]]])
    assert (generator.generate(above, samples=1) == ours).mean() > 0.95


def test_the_graph_is_the_network(made):
    generator, space, device = made
    assert generator.parameters == 67_969
    network = ArchitectureGenerator(generator.code.width)
    network.load_state_dict(load(generator.weights))
    limits = np.array([[2.0], [6.0]])
    where, priors = layout(space), np.array(generator.about["priors"], np.int8)
    asked = limits * (1 - generator.margin)
    maps = torch.from_numpy(prior_around(where.one_hot(priors), costs_of(space, [device], priors), asked))
    flat = network(torch.from_numpy(generator.code(asked)), maps)[:, torch.from_numpy(where.cells)]
    parts = flat.split(option_counts(space).tolist(), 1)
    expected = space.canonical(np.column_stack([p.argmax(1).numpy() for p in parts]).astype(np.int8))
    assert (generator.generate(limits, samples=1) == expected).all()


def test_the_prior_moves_smoothly_with_the_budget(made):
    generator, space, device = made
    maps = layout(space).one_hot(np.array(generator.about["priors"], np.int8))
    costs = costs_of(space, [device], np.array(generator.about["priors"], np.int8))
    budgets = np.geomspace(costs.min(), costs.max(), 400)[:, None]
    around = prior_around(maps, costs, budgets)
    assert around.shape == (400, *maps.shape[1:])
    assert np.allclose(around.sum((1, 2, 3)), maps[0].sum(), rtol=1e-5)  # still one option a decision, spread over some
    assert np.abs(np.diff(around, axis=0)).max() < 0.2
    far = prior_around(maps, costs, np.array([[1e-6], [1e6]]))  # far outside: the end of the pool
    assert np.isfinite(far).all()
    assert far[0, 0].argmax() == maps[costs[:, 0].argmin(), 0].argmax()


def test_a_network_is_judged_with_the_weights_that_it_will_have(rng):
    """[3, skip, 7, 5] runs as [7, 5, 3, skip]: on other sub-blocks, which have weights of their own."""
    space = SPACES["unified-32"].for_images(1, 10, 28)
    supernet = make_supernet(space, [0.4], [0.3])
    images, labels = torch.randint(0, 255, (32, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (32,))
    signal = SupernetSignal(supernet, images, labels, 32, 0)
    counts = option_counts(space)
    for raw in rng.integers(0, counts, (4, len(counts))).astype(np.int8):
        raw[1:4] = 0  # a first block with one sub-block
        hard = torch.cat([F.one_hot(torch.tensor(int(v)), int(c)).float() for v, c in zip(raw, counts)])
        with torch.no_grad():
            logits = supernet.train()(images.float() / 255, space.canonical(raw[None])[0])
            assert float(signal(hard, 0)) == pytest.approx(
                float(F.cross_entropy(logits, labels, label_smoothing=0.1)), rel=1e-4
            )


@pytest.mark.parametrize(("asked", "judged"), [(1, 1), (4, 4), (100, 8)])
def test_a_supernet_judges_several_budgets_a_step_each_on_images_of_its_own(asked, judged):
    space, seen = SPACES["unified-32"].for_images(1, 10, 28), []

    def signal(probabilities, step):
        seen.append((tuple(probabilities.detach().tolist()), step))
        return probabilities.sum() * 0

    settings = {"steps": 3, "batch": 8, "supernet_judges": asked}
    train_sgnas(space, Synthetic(space), [load_device("macs_m")], SgnasConfig(**settings), signal=signal)
    assert [step for _, step in seen] == list(range(3 * judged))
    assert len({soft for soft, _ in seen}) == len(seen)


def test_a_supernet_judges_and_stays_as_it_is():
    space = SPACES["unified-32"].for_images(1, 10, 28)
    supernet = make_supernet(space, [0.4], [0.3])
    before = {n: p.clone() for n, p in supernet.named_parameters()}
    images, labels = torch.randint(0, 255, (32, 1, 28, 28), dtype=torch.uint8), torch.randint(0, 10, (32,))
    signal = SupernetSignal(supernet, images, labels, 16, 0)
    devices = [load_device("macs_m")]
    generator = train_sgnas(space, Synthetic(space), devices, SgnasConfig(steps=3), signal=signal)
    assert generator.about["judge"] == "supernet"
    assert all(torch.equal(p, before[n]) for n, p in supernet.named_parameters())
