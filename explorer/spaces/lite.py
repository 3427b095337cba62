"""The EfficientNet-Lite family: MBConv networks without squeeze-and-excitation, with ReLU6 (Tan and Le 2019, "Lite").

The stages are those of EfficientNet-Lite, whose published weights can start a training (`supernets.sources`).
Kernel, expansion, depth and resolution are searched; the published network is in the space, with its kernels and
depths, and has the same function as the largest one has before the training.
"""

from __future__ import annotations

import math

from explorer.core.layer import round_width
from explorer.spaces.mobile import MobileSpace

WIDTHS, REPEATS = (24, 40, 80, 112, 192, 320), (2, 2, 3, 3, 4, 1)
RESOLUTIONS = (96, 128, 160, 192, 224)


def lite(name: str, width: float, depth: float) -> MobileSpace:
    """Create the space of EfficientNet-Lite's stages at a multiplier of the widths and of the depths.

    As in the published networks, stem and last convolution keep their width, and the last stage its depth.
    """
    repeats = (*(math.ceil(depth * n) for n in REPEATS[:-1]), REPEATS[-1])
    return MobileSpace(
        name, stem=32, first=round_width(16 * width), widths=tuple(round_width(width * w) for w in WIDTHS),
        strides=(2, 2, 2, 1, 2, 1), se=(False,) * 6, acts=("relu6",) * 6, ends=("relu6",) * 3,
        depths=tuple(range(1, max(repeats) + 1)), deepest=repeats, kernels=(3, 5), expands=(3, 4, 6),
        resolutions=RESOLUTIONS, searched_resolution=True, final=1280, mix=0, eps=1e-3,
    )  # fmt: skip
