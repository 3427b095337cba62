import numpy as np
import pytest

from explorer.core.protocols import silent
from explorer.devices import load_device
from explorer.generators import train_generator
from explorer.generators.pnag import PnagConfig, _Trainer
from explorer.generators.rewards import scalar_reward
from explorer.spaces import SPACES


def test_scalar_rewards_order_draws_as_their_papers_say():
    accuracy = np.array([[0.90, 0.90, 0.90, 0.95]])
    costs = np.array([[[10.0], [8.0], [12.5], [40.0]]])
    limits = np.array([[10.0]])
    exact, below, above, far = scalar_reward("tunas", accuracy, costs, limits)[0]
    assert exact > below > above > far  # off the budget by 0, 20, 25 and 300 %
    exact, below, above, far = scalar_reward("mnasnet", accuracy, costs, limits)[0]
    assert below > exact > above > far  # cheaper is better, and four times the cost outweighs five points


def test_scalar_rewards_are_standardised_over_a_request():
    rng = np.random.default_rng(0)
    for kind in ("mnasnet", "tunas"):
        reward = scalar_reward(kind, rng.random((5, 7)), 1 + rng.random((5, 7, 2)), np.array([[1.5, np.nan]] * 5))
        assert reward.mean(1) == pytest.approx(np.zeros(5), abs=1e-9)
        assert reward.std(1) == pytest.approx(np.ones(5))
    same = scalar_reward("tunas", np.full((2, 3), 0.9), np.ones((2, 3, 1)), np.ones((2, 1)))
    assert np.array_equal(same, np.zeros((2, 3)))


def test_mnasnets_reward_orders_draws_alike_under_every_budget():
    """A power of cost / budget is a power of the cost times a constant of the request: nothing in it asks for the budget."""
    rng = np.random.default_rng(0)
    accuracy, costs = np.repeat(rng.random((1, 9)), 2, 0), np.repeat(1 + rng.random((1, 9, 1)), 2, 0)
    low, high = scalar_reward("mnasnet", accuracy, costs, np.array([[1.1], [1.9]]))
    assert low == pytest.approx(high)
    low, high = scalar_reward("tunas", accuracy, costs, np.array([[1.1], [1.9]]))
    assert np.abs(low - high).max() > 0.1


class Flat:
    """All networks are equally good."""

    def evaluate(self, codes):
        return np.full(len(codes), 0.9)


def test_a_policy_that_is_paid_for_the_budget_alone_follows_it():
    config = PnagConfig(
        reward="tunas", iterations=80, requests=24, draws=16, ranker_steps=1, imitation=0.0, evaluations=200
    )
    space, device = SPACES["mobile-tiny"], load_device("mobile")
    generator = train_generator(space, Flat(), [device], "pnag", config=config)
    low, high = generator.code.low[0], generator.code.high[0]
    limits = low * (high / low) ** np.array([[0.2], [0.9]])
    costs = device.cost(space, generator.generate(limits, samples=1))
    assert costs[0] < 0.9 * costs[1]


def test_the_evaluator_sees_proposals_for_requests_of_all_kinds():
    """The first half of a step's requests bounds one device, the other half several; both have to be evaluated."""
    space, devices = SPACES["mobile-tiny"], [load_device("mobile"), load_device("gpu")]
    config = PnagConfig(iterations=20, requests=24, draws=16, ranker_steps=1, evaluations=400)
    trainer, added = _Trainer(space, Flat(), devices, config, 0, None), []
    proposals = space.enumerate()[: 24 * 16]
    number = {row.tobytes(): i for i, row in enumerate(proposals)}
    trainer.policy_step = lambda share: proposals
    trainer.population.add = lambda codes: added.extend(number[row.tobytes()] // 16 for row in codes)
    trainer.train(silent)
    assert set(added) == set(range(24))


def test_the_published_method_trains_on_the_budgets_at_the_anchors_alone(rng):
    space, devices = SPACES["mobile-tiny"], [load_device("mobile"), load_device("gpu")]
    for between in (True, False):
        config = PnagConfig(iterations=1, ranker_steps=1, evaluations=200, between=between)
        trainer = _Trainer(space, Flat(), devices, config, 0, None)
        code = trainer.code(trainer.limits(100))
        mixed = ((code > 1e-5) & (code < 1 - 1e-5)).any(1).mean()  # a budget between two anchors is a mixture of both
        assert mixed > 0.9 if between else mixed == 0
    drawn = trainer.code(trainer.limits(2000))
    assert (drawn.sum(0) > 0).all()  # every anchor is trained, the first and the last, too
    limits = np.array([[trainer.code.low[0] * 1.0001, np.nan], [trainer.code.high[0] * 2, trainer.code.low[1]]])
    moved = trainer.code.at_anchors(limits)
    assert moved[0, 0] == pytest.approx(trainer.code.low[0])
    assert np.isnan(moved[0, 1])
    assert moved[1] == pytest.approx([trainer.code.high[0], trainer.code.low[1]])
