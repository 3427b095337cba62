"""The numbers of an exported network in eight bits, which its ONNX and `.tflite` files have in common.

Ranges of activations are calibrated on training images in two ways (see `supernets.stepwise`); the one that is more
accurate on validation images is kept. Test images are not looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from explorer.core.eight_bits import EightBits, eight_bits
from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.steps import steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from explorer.data.datasets import Images
    from explorer.supernets.plain import Network

CALIBRATION, CHOICE = 512, 1000  # training images for the ranges, validation images for the choice
METHODS = ("mse", "minmax")


def quantised(layers: Sequence[Layer], network: Network, images: Images) -> EightBits:
    """Quantise a network with trained weights.

    Args:
        layers: the network's layers.
        network: the plain network, in evaluation mode.
        images: calibrated on `images.train`, chosen on `images.val`.

    Raises:
        InputError: an operator has no form in eight bits.
    """
    from explorer.supernets.augment import to_float
    from explorer.supernets.stepwise import centre, ranges_of, weights_of

    steps, weights = steps_of(layers), weights_of(layers, network)
    train = to_float(images.train.images[:CALIBRATION])
    val = images.val.take(slice(0, CHOICE))
    x, labels = to_float(val.images).numpy(), val.labels.numpy()
    tried: list[tuple[float, EightBits]] = []
    for method in METHODS:
        ranges = ranges_of(layers, network, train, method)
        found = eight_bits(steps, weights, ranges, layers[0].cin, layers[0].size)
        tried.append((float((classes_of(found, x, centre(network.preprocess)) == labels).mean()), found))
    return max(tried, key=lambda pair: pair[0])[1]


def classes_of(network: EightBits, images: np.ndarray, centre: float) -> np.ndarray:
    """Return the classes (n,) that a network in eight bits gives to images (n, c, h, w) float32 in [0, 1]."""
    from explorer.core.onnx_eight_bits import onnx_of
    from explorer.core.onnx_session import open_session

    session = open_session(onnx_of(network, images.shape[-1], centre).SerializeToString())
    batches = np.array_split(images, max(1, len(images) // 64))
    return np.concatenate([np.asarray(session.run(None, {"images": batch})[0]).argmax(1) for batch in batches])


def has_steps(layers: Sequence[Layer]) -> bool:
    """Return whether every operator of a network has a form in eight bits."""
    try:
        return bool(steps_of(layers))
    except InputError:
        return False
