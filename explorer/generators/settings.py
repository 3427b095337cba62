"""Settings of the generator methods, alone, so that a recipe is read without torch."""

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
        """Settings that evaluate about so many networks; unless told otherwise the usual ones."""
        return cls()


class ExpertConfig(MethodSettings):
    """How experts are improved and imitated.

    Attributes:
        anchors: of the budget code, per device.
        pool: random networks among which the first experts are found.
        budgets: fixed budgets, each with its own expert.
        rounds: of improving and imitating.
        mutation: per decision.
        neighbours: budgets that share what they are offered.
        steps: gradient steps per round, each of `batch` budgets; three times as many in the last fifth of the rounds.
        slack: an expert also answers for limits up to this share above its own.
        feasible: share of raw networks inside their budget to aim at.
    """

    anchors: int = Field(16, ge=2, le=1000)
    pool: int = Field(4000, ge=16, le=1_000_000)
    budgets: int = Field(4096, ge=16, le=1_000_000)
    rounds: int = Field(300, ge=1, le=1_000_000)
    mutation: float = Field(0.05, gt=0, lt=1)
    neighbours: int = Field(6, ge=1, le=1000)
    steps: int = Field(6, ge=1, le=100_000_000)
    batch: int = Field(512, ge=8, le=100_000)
    width: int = Field(384, ge=8, le=10_000)
    depth: int = Field(3, ge=1, le=100)
    lr: float = Field(2e-3, gt=0, le=1000)
    slack: float = Field(0.015, ge=0, le=1000)
    feasible: float = Field(0.95, gt=0, lt=1)

    @classmethod
    def of(cls, evaluations: int) -> ExpertConfig:
        """Settings that evaluate about so many networks: fewer budgets and rounds, as many gradient steps."""
        pool = int(np.clip(evaluations // 5, 16, 4000))
        budgets = int(np.clip(evaluations // 50, 16, 4096))
        rounds = max(1, (evaluations - pool) // budgets)
        return cls(pool=pool, budgets=budgets, rounds=rounds, steps=max(6, 2000 // rounds))


class PnagConfig(MethodSettings):
    """How the evaluator and the controller are trained.

    Attributes:
        anchors: budgets with an embedding of their own, per device.
        evaluations: architectures that the accuracy comes from, half random, half proposed by the policy.
        ranker_steps: gradient steps of the evaluator before the policy starts; then two per iteration.
        iterations: policy-gradient steps, each of `requests` budgets with `draws` architectures.
        entropy: weight of the entropy bonus at the start; it falls to a hundredth.
        imitation: weight of learning from the best architecture known for a request, beside the policy gradient;
            0 is the published method.
        reward: of a draw: "dominance" over the other draws of its request (the method), or for comparison the scalar
            rewards of MnasNet and TuNAS, for which every draw is evaluated.
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
    reward: Reward = "dominance"
    feasible: float = Field(0.97, gt=0, lt=1, description="share of raw networks inside their budget to aim at")

    @classmethod
    def of(cls, evaluations: int) -> PnagConfig:
        """Settings that evaluate so many networks."""
        return cls(evaluations=evaluations)


class SgnasConfig(MethodSettings):
    """How the generator is trained (Adam, betas 0.5 and 0.999).

    Attributes:
        anchors: of the budget code, per device; 10 gives the published number of parameters for one device.
        steps: of `batch` budgets each; a supernet judges one of them, a fitted judge all.
        hardware: weight of the hardware loss, on squared relative distance (the published 3e-4 at 360 M MACs is 39).
        imitation: weight of learning from the best architecture known for a budget, per decision; 0 is the published
            method.
        rise: how much heavier that loss gets towards the end, so that costs settle on their budgets.
        temperature: of the Gumbel-softmax, from first to last, geometrically.
        judged: networks that a judge is fitted to, where no supernet judges.
        priors: networks in the pool; 1 is the published one.
        feasible: share of raw networks inside their budget to aim at.
        held_out: share of the training images that the supernet leaves to the generator.
        images: of a step, through a supernet.
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

    @classmethod
    def of(cls, evaluations: int) -> SgnasConfig:
        """Settings whose judge is fitted to so many networks."""
        return cls(judged=int(np.clip(evaluations, 100, 1_000_000)))
