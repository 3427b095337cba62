"""Evaluator in eight bits with a supernet's weights: subnets are quantised as for an export, and run in onnxruntime.

Ranges of activations are calibrated on training images in two ways, and biases corrected (see `supernets.stepwise`);
the way that is more accurate on validation images is kept. Test images are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.architecture import as_codes
from explorer.core.eight_bits import EightBits, eight_bits
from explorer.core.layer import Layer
from explorer.core.onnx_eight_bits import onnx_of
from explorer.core.onnx_session import open_session
from explorer.core.protocols import Progress, silent
from explorer.core.steps import steps_of
from explorer.data.datasets import Images
from explorer.evaluators.recall import Recognised, recognised
from explorer.evaluators.shared_weights import SharedWeights
from explorer.supernets.augment import to_float
from explorer.supernets.plain import Network
from explorer.supernets.recalibration import images_at_once
from explorer.supernets.stepwise import centre, corrected, prepared, ranges_of, weights_of

CALIBRATION, CHOICE = 512, 1000  # training images for the ranges, validation images for the choice
BATCH = 64


class EightBitWeights:
    """An evaluator that measures accuracy in eight bits, with the numbers that an exported file would have.

    Args:
        weights: makes the networks, and has the images that accuracy is measured on.
        calibration: number of training images that ranges are calibrated on.
        progress: reports evaluated architectures.
    """

    def __init__(self, weights: SharedWeights, calibration: int = CALIBRATION, progress: Progress = silent) -> None:
        self.weights, self.calibration, self.progress = weights, calibration, progress

    def evaluate(self, codes: np.ndarray | Sequence) -> np.ndarray:
        """(n, d) int8 -> (n,) accuracy in [0, 1].

        Raises:
            InputError: an operator of a network has no form in eight bits.
        """
        return np.array([found.accuracy for found in self.recognised(codes)])

    def recognised(self, codes: np.ndarray | Sequence) -> list[Recognised]:
        """(n, d) int8 -> accuracy and the recall of every class, for each network; raises as `evaluate` does."""
        space, data, classes = self.weights.supernet.space, self.weights.data, self.weights.images.classes
        codes, x, labels = as_codes(space, codes), to_float(data.images).numpy(), data.labels.numpy()
        found = []
        for i in self.progress(range(len(codes)), len(codes), "scoring in eight bits"):
            layers, network = space.layers(codes[i]), self.weights.network(codes[i])
            bits = quantised(layers, network, self.weights.images, self.calibration)
            found.append(recognised(classes_of(bits, x, centre(network.preprocess)), labels, classes))
        return found


def quantised(layers: Sequence[Layer], network: Network, images: Images, calibration: int = CALIBRATION) -> EightBits:
    """Quantise a network with trained weights.

    Args:
        layers: the network's layers.
        network: the plain network, in evaluation mode.
        images: calibrated on `images.train`, chosen on `images.val`.
        calibration: number of training images for the ranges.

    Raises:
        InputError: an operator has no form in eight bits.
    """
    steps, weights, size = steps_of(layers), weights_of(layers, network), layers[0].size
    train = to_float(images.train.images[:calibration])
    few = prepared(train[: images_at_once(size)], network.preprocess, size)
    val = images.val.take(slice(0, CHOICE))
    x, labels = to_float(val.images).numpy(), val.labels.numpy()
    ranges = ranges_of(layers, network, train).values()
    found = corrected([eight_bits(steps, weights, one, layers[0].cin, size) for one in ranges], weights, few)
    zero = centre(network.preprocess)
    return max(found, key=lambda one: float((classes_of(one, x, zero) == labels).mean()))


def classes_of(network: EightBits, images: np.ndarray, centre: float) -> np.ndarray:
    """Return the classes (n,) that a network in eight bits gives to images (n, c, h, w) float32 in [0, 1]."""
    session = open_session(onnx_of(network, images.shape[-1], centre).SerializeToString())
    batches = np.array_split(images, max(1, len(images) // BATCH))
    return np.concatenate([np.asarray(session.run(None, {"images": batch})[0]).argmax(1) for batch in batches])
