"""Linear probes: how well a linear classifier on each layer's pooled output separates the classes (needs torch).

Alain and Bengio 2016 (arXiv 1610.01644). On random weights, the probes show why these rank deep networks low: every
random layer loses some information about the image, whereas a trained layer separates the classes further.
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
    """Return layer name -> validation accuracy of a linear classifier on the layer's output, averaged over pixels.

    Args:
        network: built from `layers`, with any weights; it is not changed. Batch norm uses the statistics of the batch.
        layers: the network's layers.
        images: the classifiers are fitted on `images.train` and evaluated on `images.val`.
        train_images, val_images: number of images that are used.
    """
    names = [layer.name for layer in layers if not isinstance(layer, GlobalPool | Linear)]
    train, val = images.train.take(slice(0, train_images)), images.val.take(slice(0, val_images))
    network, found = copy.deepcopy(network), {}
    for name in names:
        predict = fit_head(pooled(network, [name], train.images), train.labels, len(images.classes), "ridge")
        chosen = predict(pooled(network, [name], val.images))
        found[name] = float((chosen == val.labels).double().mean())
    return found
