"""Fine-tuning one network with knowledge distillation from the study's best networks.

The targets are half the labels and half the mean prediction of the teachers, the networks with the highest accuracy.
Their mean prediction shows which classes are similar and softens doubtful labels (Hinton, Vinyals and Dean 2015: small
networks learn more from it than from labels alone). It is computed once, before the training.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from explorer.core.config import read_toml
from explorer.core.protocols import Progress, silent
from explorer.study import Study
from explorer.supernets.config import TrainConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

TEACHERS = 8
SHARE = 0.5  # weight of the teachers' mean prediction in the targets
LR = 0.1  # highest learning rate; a third to a half of that of the supernet training
LONG = 20  # epochs from which cutout is used: with fewer epochs, too little of each image would be seen
SQUARE = 2 / 7  # side of the cutout square as a share of the image's side


def fine_tuned(
    study: Study, network: nn.Module, epochs: int, progress: Progress = silent, seed: int | None = None
) -> tuple[nn.Module, dict[str, float]]:
    """Fine-tune a network on the training images.

    Args:
        study: a study with weights; its recipe gives batch size, augmentation and weight decay.
        network: a plain network with inherited weights; it is trained in place.
        epochs: passes over the training images.
        progress: reports the teachers, then training steps.
        seed: random seed of batches and augmentation, by default the study's.

    Returns:
        The network in evaluation mode, and a dictionary with epochs, val_before and val_after (accuracy on validation
        images in [0, 1]).
    """
    from explorer.evaluators.shared_weights import accuracy
    from explorer.supernets import train_network

    images, config = study.images, schedule(study, epochs)
    before = accuracy(network, images.val)
    taught = replace(images.train, labels=soft_labels(study, config.flip, progress))
    seed = study.manifest.seed if seed is None else seed
    network = train_network(network, replace(images, train=taught), config, seed, progress)
    return network, {"epochs": epochs, "val_before": before, "val_after": accuracy(network, images.val)}


def schedule(study: Study, epochs: int) -> TrainConfig:
    """Return the training settings: the supernet's, except for learning rate, label smoothing and, if long, cutout."""
    trained = read_toml(study.folder / "recipe.toml").get("supernet", {})
    same = {
        k: trained[k] for k in ("flip", "shift", "cutout", "crop", "policy", "batch", "weight_decay") if k in trained
    }
    square = {"cutout": round(SQUARE * study.manifest.data.size)} if epochs >= LONG else {}
    return TrainConfig(epochs=epochs, lr=LR, label_smoothing=0, **same | square)


def soft_labels(study: Study, mirrored: bool, progress: Progress = silent) -> Tensor:
    """Compute the target probabilities of the training images: half the label, half the teachers' mean prediction.

    Args:
        study: the study whose networks with the highest measured validation accuracy are the teachers.
        mirrored: whether the teachers' predictions are also averaged over the mirrored images.
        progress: reports teachers.

    Returns:
        (n, classes) float32.
    """
    import torch
    import torch.nn.functional as F

    from explorer.evaluators.shared_weights import fused, logits

    best = study.evaluations.sort_values("accuracy", ascending=False, kind="stable")["key"].head(TEACHERS)
    train = study.images.train
    views = [train, replace(train, images=train.images.flip(3))] if mirrored else [train]
    said = torch.zeros(len(train), len(study.images.classes))
    for key in progress(best, len(best), "computing teacher predictions"):
        teacher = fused(study.network(study.architecture(key)))
        for view in views:
            said += logits(teacher, view).softmax(1)
    told = F.one_hot(train.labels, said.shape[1])
    return (1 - SHARE) * told + SHARE * said / (len(best) * len(views))
