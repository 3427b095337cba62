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
        crop: smallest share of a photograph's area that a random crop shows; 0 for no random crops.
        policy: further changes to every photograph: "colour" (brightness, contrast, saturation, hue), or
            torchvision's "trivial" (TrivialAugment), "rand" (RandAugment) or "auto" (AutoAugment).
        mix: pairs of images in a batch are blended ("mixup") or pasted into each other ("cutmix").
        balance: for classes of unequal size: "sampling" draws all classes equally often, "weights" weighs their loss.
        inherited_lr: learning rate of everything but the classifier, relative to `lr`; below 1 for pretrained weights.
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
    crop: float = Field(0, ge=0, le=1)
    policy: Literal["none", "colour", "trivial", "rand", "auto"] = "none"
    mix: Literal["none", "mixup", "cutmix"] = "none"
    balance: Literal["none", "sampling", "weights"] = "none"
    inherited_lr: float = Field(1, gt=0, le=1)
    checkpoint_steps: int = Field(200, ge=1, le=1_000_000_000)
