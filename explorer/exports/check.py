"""Checking an exported network: it and the original network are run on the same images and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

TOLERANCE = 1e-4

Run = Callable[["Tensor"], np.ndarray]  # (n, c, h, w) float32 in [0, 1] -> (n, classes)


class ExportError(RuntimeError):
    """The exported network gives different results from the original one."""


def accuracy_of(found: Mapping[str, float]) -> tuple[str, float] | None:
    """Return ("test" or "validation", accuracy) of a check; None where it has no accuracy.

    >>> accuracy_of({"images": 340, "val_accuracy": 0.9})
    ('validation', 0.9)
    """
    words = {"test_accuracy": "test", "val_accuracy": "validation"}
    return next(((words[name], found[name]) for name in words if name in found), None)


def compared(
    exported: Run, network: nn.Module, x: Tensor, labels: Tensor | None, split: str = "test"
) -> dict[str, float]:
    """Compare an exported network with the original one on the same images.

    Args:
        exported: runs the exported network from the written file.
        network: the original network.
        x: (n, c, h, w) float32 images in [0, 1].
        labels: (n,) class indices, or None.
        split: split of the images, for the name of the accuracy.

    Returns:
        same_top1 (share of images with the same top-1 class) and max_difference (of logits); with labels also
        test_accuracy (or val_accuracy) of the exported network and drop (percentage points below the original's).
    """
    import torch

    from explorer.supernets.recalibration import images_at_once

    batches = x.split(min(250, images_at_once(x.shape[-1])))
    with torch.inference_mode():
        original = torch.cat([network(batch) for batch in batches]).numpy()
    logits = np.concatenate([exported(batch) for batch in batches])
    found = {
        "same_top1": float((original.argmax(1) == logits.argmax(1)).mean()),
        "max_difference": float(np.abs(original - logits).max()),
    }
    if labels is None:
        return found
    right = labels.numpy()
    accuracy, before = (float((of.argmax(1) == right).mean()) for of in (logits, original))
    return found | {f"{split}_accuracy": accuracy, "drop": 100 * (before - accuracy)}


def refuse_other(found: dict[str, float], images: int) -> None:
    """Raise an error if the exported network differs from the original one.

    Args:
        found: the result of `compared`.
        images: number of images, for the message.

    Raises:
        ExportError: the top-1 class differs on any image, or logits differ by more than 1e-4.
    """
    if found["same_top1"] < 1 or found["max_difference"] > TOLERANCE:
        raise ExportError(
            f"the exported network differs from the original: {1 - found['same_top1']:.2%} of {images} images get "
            f"another class, and logits differ by up to {found['max_difference']:.2g} (allowed {TOLERANCE:g}); "
            "nothing was written"
        )
