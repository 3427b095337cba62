"""How weights are trained: the settings alone, so that a recipe is read without torch."""

from typing import Literal

from pydantic import Field

from explorer.core.config import Settings


class TrainConfig(Settings):
    """How weights are trained (SGD with Nesterov momentum, cosine schedule with a short warm-up)."""

    epochs: float = Field(12, gt=0, le=1_000_000)
    batch: int = Field(128, ge=8, le=100_000)
    lr: float = Field(0.2, gt=0, le=1000)
    weight_decay: float = Field(5e-5, ge=0, le=1000)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    rule: Literal["uniform", "sandwich", "forced", "progressive"] = "sandwich"
    random_subnets: int = Field(1, ge=1, le=1000)
    flip: bool = False
    shift: int = Field(0, ge=0, le=256)
    cutout: int = Field(0, ge=0, le=1024)
    checkpoint_steps: int = Field(200, ge=1, le=1_000_000_000)
