"""Settings of a pruning search, and the names of what it prunes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from explorer.core.config import Settings

GRANULARITIES = ("operation", "filter", "weight")


class PruneConfig(Settings):
    """Settings of a pruning search.

    Attributes:
        granularities: what may be pruned.
        sizes: target sizes, as descending shares of the initial parameters; a network is kept at each of them.
        stages: number of stages; 1 searches the whole network at once.
        stage_share: share of the parameters of its part of the network that an early stage leaves.
        regrow: share of the pruned operations that are regrown before every later stage; 0 for none.
        narrow: whether cells get narrower before every later stage (see `narrowing`).
        warmup: training steps at the start of a stage for the weights only; the first stage of a trained network has
            none.
        rounds: rounds of an early stage, each of which ends with pruning; the last stage has about twice as many.
        steps: training steps, after which a round looks whether the thresholds ask for its target size.
        patience: how often a round trains for so many steps, before it raises the thresholds itself.
        batch: images per step.
        lr, weight_decay: for the weights.
        strength_lr: learning rate of the strengths.
        threshold_lr: learning rate of the thresholds of operations and filters.
        weight_threshold_lr: learning rate of the thresholds of weights.
        mu: weight of an operation's parameters in the size loss.
        flip, shift: augmentation, see `supernets.augment`.
    """

    granularities: tuple[Literal["operation", "filter", "weight"], ...] = ("operation", "filter", "weight")
    sizes: tuple[float, ...] = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15, 0.1)
    stages: int = Field(3, ge=1, le=1000)
    stage_share: float = Field(0.4, gt=0, le=1)
    regrow: float = Field(0.2, ge=0, lt=1)
    narrow: bool = True
    warmup: int = Field(60, ge=0, le=10_000_000)
    rounds: int = Field(6, ge=1, le=1_000_000)
    steps: int = Field(30, ge=1, le=100_000_000)
    patience: int = Field(3, ge=1, le=1000)
    batch: int = Field(64, ge=8, le=100_000)
    lr: float = Field(0.05, gt=0, le=1000)
    weight_decay: float = Field(3e-4, ge=0, le=1000)
    strength_lr: float = Field(0.5, gt=0, le=1e6)
    threshold_lr: float = Field(0.05, gt=0, le=1e6)
    weight_threshold_lr: float = Field(0.0025, gt=0, le=1e6)
    mu: float = Field(1.0, ge=0, le=1e6)
    flip: bool = False
    shift: int = Field(0, ge=0, le=256)

    @field_validator("sizes")
    @classmethod
    def _descending(cls, sizes: tuple[float, ...]) -> tuple[float, ...]:
        if not sizes or any(not 0 < s <= 1 for s in sizes) or list(sizes) != sorted(set(sizes), reverse=True):
            raise ValueError(
                f"sizes {list(sizes)}: expected descending shares above 0 and up to 1, such as [1, 0.5, 0.1]"
            )
        return sizes

    @field_validator("granularities")
    @classmethod
    def _some(cls, chosen: tuple[str, ...]) -> tuple[str, ...]:
        if not chosen:
            raise ValueError(f"granularities are empty; choose from: {', '.join(GRANULARITIES)}")
        return chosen
