"""Settings of the generator methods, separate from the training code so that a recipe can be read without torch."""

from __future__ import annotations

from typing import Self

import numpy as np
from pydantic import Field

from explorer.core.config import Settings
from explorer.generators.rewards import Reward


class MethodSettings(Settings):
    """Base of a method's settings."""

    @classmethod
    def of(cls, evaluations: int) -> Self:
        """Return settings that evaluate about `evaluations` networks; the base class returns the defaults."""
        return cls()


ENDS = 8  # evaluations of the cheapest and the most expensive network on some devices


class ExpertConfig(MethodSettings):
    """Settings of the `expert` method: how experts are improved and imitated.

    Attributes:
        anchors: anchors of a limit's position on its device's scale.
        pool: number of random networks among which the first experts are found.
        budgets: number of fixed budgets, each with its own expert.
        family: number of random devices to train on beside the given ones; 0 trains for the given ones alone.
        others: share of the budgets that bound devices of this family instead of the given ones.
        rounds: number of rounds of improving and imitating the experts.
        mutation: mutation probability per decision.
        neighbours: number of near budgets that each budget shares candidates with.
        steps: gradient steps per round; three times as many in the last fifth of the rounds.
        batch: budgets per gradient step.
        width, depth: size of the MLP: units per hidden layer, and number of hidden layers.
        entry: units of the hidden layer that encodes one device and its limit.
        lr: highest learning rate of the one-cycle schedule.
        slack: an expert is also the training target for limits up to this share above its own.
        feasible: target share of raw networks within their budget; the margin is chosen to reach it.
    """

    anchors: int = Field(16, ge=2, le=1000)
    pool: int = Field(4000, ge=16, le=1_000_000)
    budgets: int = Field(8192, ge=16, le=1_000_000)
    family: int = Field(256, ge=0, le=100_000)
    others: float = Field(0.6, ge=0, le=1)
    rounds: int = Field(200, ge=1, le=1_000_000)
    mutation: float = Field(0.05, gt=0, lt=1)
    neighbours: int = Field(6, ge=1, le=1000)
    steps: int = Field(6, ge=1, le=100_000_000)
    batch: int = Field(512, ge=8, le=100_000)
    width: int = Field(384, ge=8, le=10_000)
    depth: int = Field(3, ge=1, le=100)
    entry: int = Field(256, ge=8, le=10_000)
    lr: float = Field(2e-3, gt=0, le=1000)
    slack: float = Field(0.015, ge=0, le=1000)
    feasible: float = Field(0.97, gt=0, lt=1)

    @classmethod
    def of(cls, evaluations: int) -> ExpertConfig:
        """Return settings that evaluate about `evaluations` networks.

        Fewer evaluations mean fewer budgets and rounds, but about as many gradient steps.
        """
        pool = int(np.clip(evaluations // 5, 16, 4000))
        budgets = int(np.clip(evaluations // 50, 16, 8192))
        rounds = max(1, (evaluations - pool - ENDS) // budgets)
        return cls(pool=pool, budgets=budgets, rounds=rounds, steps=max(6, 2000 // rounds))


class PnagConfig(MethodSettings):
    """Settings of the `pnag` method: how the dominance evaluator and the controller are trained.

    Attributes:
        evaluations: number of architectures to evaluate, half of them random, half proposed by the policy.
        anchors: number of budgets with an embedding of their own, per device.
        ranker_steps: gradient steps of the dominance evaluator before the policy starts; then two per iteration.
        ranker_lr: learning rate of the dominance evaluator.
        iterations: policy-gradient steps, each on `requests` budgets with `draws` architectures per budget.
        lr: learning rate of the controller.
        entropy: initial weight of the entropy bonus; it falls linearly to a hundredth of that.
        imitation: weight of imitating the best architecture known for a request, in addition to the policy gradient;
            0 is the published method.
        between: whether budgets between two anchors are trained on, too; False trains on those at the anchors alone,
            as published.
        reward: reward of a draw: "dominance" over the other draws of its request (the published method) or, for
            comparison, the scalar rewards of MnasNet and TuNAS, which evaluate every draw.
        feasible: target share of raw networks within their budget; the margin is chosen to reach it.
    """

    evaluations: int = Field(20_000, ge=2, le=1_000_000_000)
    anchors: int = Field(10, ge=2, le=1000)
    ranker_steps: int = Field(1000, ge=1, le=10_000_000)
    ranker_lr: float = Field(1e-3, gt=0)
    iterations: int = Field(400, ge=1, le=10_000_000)
    requests: int = Field(48, ge=2, le=100_000)
    draws: int = Field(20, ge=2, le=10_000)
    lr: float = Field(1e-2, gt=0, le=1000)
    entropy: float = Field(0.5, ge=0, le=1e6)
    imitation: float = Field(1.0, ge=0, le=1e6)
    between: bool = True
    reward: Reward = "dominance"
    feasible: float = Field(0.97, gt=0, lt=1, description="share of raw networks inside their budget to aim at")

    @classmethod
    def of(cls, evaluations: int) -> PnagConfig:
        """Return settings that evaluate `evaluations` networks."""
        return cls(evaluations=evaluations)


class SgnasConfig(MethodSettings):
    """Settings of the `sgnas` method: how the generator is trained (Adam, betas 0.5 and 0.999).

    Attributes:
        anchors: anchors of the budget code, per device; 10 gives the published number of parameters for one device.
        steps: gradient steps.
        batch: budgets per step; a supernet judges some of them, a fitted judge all of them.
        supernet_judges: number of a step's budgets whose networks a supernet judges, each on images of its own.
        lr: initial learning rate (cosine schedule).
        hardware: weight of the hardware loss, the squared relative distance to the budget (the published 3e-4 at
            360 M MACs corresponds to 39).
        imitation: weight of imitating the best architecture known for a budget, per decision; 0 is the published
            method.
        rise: growth of the hardware loss: its weight ends at 1 + rise times `hardware`, so that costs settle on their
            budgets.
        temperature: first and last temperature of the Gumbel-softmax; it falls geometrically.
        judged: number of evaluated networks that the judge is fitted to, if no supernet is the judge.
        priors: number of networks in the pool of priors; the published method has 1.
        feasible: target share of raw networks within their budget; the margin is chosen to reach it.
        held_out: share of the training images that the supernet is not trained on and the generator learns from.
        images: images on which a supernet judges a network.
    """

    anchors: int = Field(10, ge=2, le=1000)
    steps: int = Field(2000, ge=1, le=100_000_000)
    batch: int = Field(64, ge=1, le=100_000)
    lr: float = Field(2e-3, gt=0, le=1000)
    hardware: float = Field(39.0, ge=0, le=1e6)
    imitation: float = Field(10.0, ge=0, le=1e6)
    rise: float = Field(5.0, ge=0, le=1e6)
    temperature: tuple[float, float] = (5.0, 0.3)
    judged: int = Field(20_000, ge=100, le=10_000_000)
    priors: int = Field(32, ge=1, le=10_000)
    feasible: float = Field(0.95, gt=0, lt=1)
    held_out: float = Field(0.2, gt=0, lt=0.9)
    images: int = Field(64, ge=2, le=100_000)
    supernet_judges: int = Field(4, ge=1, le=1000)

    @classmethod
    def of(cls, evaluations: int) -> SgnasConfig:
        """Return settings whose judge is fitted to `evaluations` networks."""
        return cls(judged=int(np.clip(evaluations, 100, 1_000_000)))
