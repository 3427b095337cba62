"""How much every layer of a network sees: a linear classifier on its pooled output (needs torch).

Alain and Bengio 2016 (arXiv 1610.01644). With random weights it shows why they rank deep networks low: every random
layer loses some of the image, where a trained one brings classes apart.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from explorer.core.layer import Layer
from explorer.core.operators import GlobalPool, Linear
from explorer.data.datasets import Images
from explorer.evaluators.linear_head import fit_head
from explorer.evaluators.random_weights import pooled


def probe_layers(
    network: Any, layers: Sequence[Layer], images: Images, train_images: int = 2000, val_images: int = 1000
) -> dict[str, float]:
    """Layer -> validation accuracy of a linear classifier on the means over pixels of what it gives out.

    Args:
        network: built from the layers, with any weights; not changed. Batch norm uses the batches' statistics.
        layers: of the network.
        images: the classifiers are fitted on `train`, counted on `val`.
        train_images, val_images: how many.
    """
    names = [layer.name for layer in layers if not isinstance(layer, GlobalPool | Linear)]
    train, val = images.train.take(slice(0, train_images)), images.val.take(slice(0, val_images))
    network, found = copy.deepcopy(network), {}
    for name in names:
        predict = fit_head(pooled(network, [name], train.images), train.labels, len(images.classes), "ridge")
        chosen = predict(pooled(network, [name], val.images))
        found[name] = float((chosen == val.labels).double().mean())
    return found
