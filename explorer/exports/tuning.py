"""Fine-tuning of one network: half of what it is taught are labels, half is what the study's best networks say.

What several networks say together of an image tells alike classes apart and doubts doubtful labels (Hinton, Vinyals and
Dean 2015: small networks learn more from it than from labels alone). They are asked once, before the training.
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
SHARE = 0.5  # of their say
LR = 0.1  # of the highest step; a third to a half of what trained the supernet
LONG = 20  # epochs from which on squares of the images are blanked: shorter trainings do not see enough of them
SQUARE = 2 / 7  # of an image's side


def fine_tuned(
    study: Study, network: nn.Module, epochs: int, progress: Progress = silent, seed: int | None = None
) -> tuple[nn.Module, dict[str, float]]:
    """The network after some epochs on the training images, and what they changed.

    Args:
        study: with weights; its recipe says batch, augmentation and weight decay.
        network: plain, with inherited weights; trained in place.
        epochs: passes over the training images.
        progress: reports the teachers, then steps.
        seed: of batches and augmentation; the study's unless given.

    Returns:
        The network in evaluation mode; epochs, and accuracy on validation images before and after.
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
    """The `TrainConfig` of a fine-tuning: the supernet's, but for the learning rate and, in a long one, the squares."""
    trained = read_toml(study.folder / "recipe.toml").get("supernet", {})
    same = {k: trained[k] for k in ("flip", "shift", "cutout", "batch", "weight_decay") if k in trained}
    square = {"cutout": round(SQUARE * study.manifest.data.size)} if epochs >= LONG else {}
    return TrainConfig(epochs=epochs, lr=LR, label_smoothing=0, **same | square)


def soft_labels(study: Study, mirrored: bool, progress: Progress = silent) -> Tensor:
    """(n, classes) float32 probabilities of the training images: half their label, half the teachers' mean.

    Args:
        study: the networks with the highest measured validation accuracy are the teachers.
        mirrored: they see every image in a mirror, too.
        progress: reports teachers.
    """
    import torch
    import torch.nn.functional as F

    from explorer.evaluators.shared_weights import fused, logits

    best = study.evaluations.sort_values("accuracy", ascending=False, kind="stable")["key"].head(TEACHERS)
    train = study.images.train
    views = [train, replace(train, images=train.images.flip(3))] if mirrored else [train]
    said = torch.zeros(len(train), len(study.images.classes))
    for key in progress(best, len(best), "asking the best networks"):
        teacher = fused(study.network(study.architecture(key)))
        for view in views:
            said += logits(teacher, view).softmax(1)
    told = F.one_hot(train.labels, said.shape[1])
    return (1 - SHARE) * told + SHARE * said / (len(best) * len(views))
