"""Training settings, in a module of their own so that a recipe can be read without torch."""

from typing import Literal

from pydantic import Field

from explorer.core.config import Settings


class TrainConfig(Settings):
    """Training settings (SGD with Nesterov momentum, cosine schedule with a short warm-up).

    Attributes:
        epochs: passes over the training images; may be fractional.
        batch: images per step.
        lr: peak learning rate.
        weight_decay: for all weights but those of norms and biases.
        label_smoothing: of the cross-entropy loss.
        rule: which subnets a supernet trains in each step (see `sampling`); "progressive" is progressive shrinking.
        random_subnets: random subnets per step.
        flip, shift, cutout: augmentation, see `augment`.
        checkpoint_steps: steps between two checkpoints.
    """

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
