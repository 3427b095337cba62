"""Evaluator with a supernet's weights: extract the subnet, recalibrate batch norm, measure accuracy on images."""

from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from explorer.core.architecture import Architecture, as_codes
from explorer.core.protocols import Progress, silent
from explorer.data.datasets import Images, Split
from explorer.evaluators.recall import Recognised, recognised
from explorer.fast.threads import threads_for
from explorer.supernets.augment import to_float
from explorer.supernets.plain import ACTIVATIONS, Conv, MBConv, Network, NormAct
from explorer.supernets.recalibration import images_at_once, recalibrate
from explorer.supernets.supernet import Supernet


class SharedWeights:
    """An evaluator that measures accuracy on images, with weights inherited from a supernet.

    Args:
        supernet: a trained supernet.
        images: batch norm is recalibrated on `images.train`.
        split: split to measure accuracy on: "val" for any selection, "test" only for final results.
        limit: number of images to use, the first ones of the (shuffled) split; None for all.
        calibration: number of training images for the recalibration of batch norm.
        progress: reports evaluated architectures.
    """

    def __init__(
        self, supernet: Supernet, images: Images, split: str = "val", limit: int | None = None,
        calibration: int = 2000, progress: Progress = silent,
    ) -> None:  # fmt: skip
        self.supernet, self.images, self.calibration, self.progress = supernet, images, calibration, progress
        self.data = images.split(split).take(slice(0, limit))

    def network(self, codes: Architecture | np.ndarray | Sequence[int]) -> Network:
        """Return the plain network of one architecture, with recalibrated batch norm."""
        network = self.supernet.subnet(codes)
        recalibrate(network, self.images, self.calibration)
        return network

    def evaluate(self, codes: np.ndarray | Sequence) -> np.ndarray:
        """(n, d) int8 -> (n,) accuracy in [0, 1]."""
        codes = as_codes(self.supernet.space, codes)
        rows = self.progress(range(len(codes)), len(codes), "scoring")
        with self._threads():
            return np.array([accuracy(fused(self.network(codes[i])), self.data) for i in rows])

    def _threads(self) -> AbstractContextManager[None]:
        return threads_for(min(images_at_once(self.images.size), len(self.data)), self.images.size)

    def recognised(self, codes: np.ndarray | Sequence) -> list[Recognised]:
        """(n, d) int8 -> accuracy and the recall of every class, for each network."""
        codes = as_codes(self.supernet.space, codes)
        labels = self.data.labels.numpy()
        with self._threads():
            said = [logits(fused(self.network(row)), self.data).argmax(1).numpy() for row in codes]
        return [recognised(one, labels, self.images.classes) for one in said]


@torch.inference_mode()
def logits(network: nn.Module, data: Split, batch: int | None = None) -> torch.Tensor:
    """Return the logits (n, classes) of all images of a split, on the CPU."""
    batch = batch or images_at_once(data.images.shape[-1])
    device = next(network.parameters()).device
    return torch.cat([network(to_float(x).to(device)).cpu() for x in data.images.split(batch)])


def accuracy(network: nn.Module, data: Split, batch: int | None = None) -> float:
    """Return the share of images that are classified correctly, in [0, 1]."""
    return float((logits(network, data, batch).argmax(1) == data.labels).double().mean())


def fused(network: nn.Module) -> nn.Module:
    """Fold batch norm into the convolutions of a plain network, in place: the same outputs, computed faster."""
    for block in network.modules():
        if isinstance(block, Conv) and isinstance(block[-1], NormAct):
            conv, norm = block[-2], block[-1]
            assert isinstance(conv, nn.Conv2d)
            block[-2], block[-1] = _plain(fuse_conv_bn_eval(conv, norm)), ACTIVATIONS[norm.act]()
        elif isinstance(block, MBConv):
            for name in ("expand", "depthwise", "project"):
                conv, norm = getattr(block, name), getattr(block, f"{name}_norm")
                if norm is not None and isinstance(conv, nn.Conv2d):
                    setattr(block, name, _plain(fuse_conv_bn_eval(conv, norm)))
                    setattr(block, f"{name}_norm", ACTIVATIONS[norm.act]())
    return network


def _plain(conv: nn.Conv2d) -> nn.Conv2d:
    """Return an ordinary convolution with the same weights and bias: the fast form for training ignores a bias."""
    names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
    plain = nn.Conv2d(**{name: getattr(conv, name) for name in names})
    plain.weight, plain.bias = conv.weight, conv.bias
    return plain.to(memory_format=torch.channels_last)
