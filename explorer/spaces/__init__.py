"""Search spaces, looked up by name: `SPACES["mobile-32"]`."""

from dataclasses import replace

from explorer.core.registry import Registry
from explorer.spaces.base import Compilable, Decision, Enumerable, ForImages, FromString, OnceForAll, Space, records_of
from explorer.spaces.cell import CellSpace
from explorer.spaces.darts import DartsSpace, NsganetSpace
from explorer.spaces.lite import lite
from explorer.spaces.mobile import MobileSpace, mobilenetv3
from explorer.spaces.nasbench301 import NasBench301Space
from explorer.spaces.notation import read_architecture
from explorer.spaces.table import TableSpace
from explorer.spaces.unified import UnifiedSpace, unified

SPACES: Registry[Space] = Registry("space", "explorer.spaces")


def register(space: Space) -> Space:
    """Register a space under its name and return it."""
    return SPACES.register(space.name, space)


# 1,764 architectures for 8x8 images: small enough to be enumerated in tests and classrooms
register(
    MobileSpace(
        "mobile-tiny", stem=8, stem_stride=1, widths=(8, 16), strides=(1, 2), se=(False, True),
        acts=("relu", "hswish"), depths=(1, 2), kernels=(3, 5), expands=(2, 3, 4), resolutions=(8,),
        final=32, mix=0, channels=1, classes=10,
    )
)  # fmt: skip
register(
    MobileSpace(
        "mobile-32", stem=16, widths=(16, 40, 96), strides=(1, 2, 2), se=(False, False, True),
        acts=("relu", "relu", "hswish"), depths=(1, 2, 3), kernels=(3, 5, 7), expands=(2, 3, 4), resolutions=(32,),
        final=192, mix=0, channels=3, classes=10, sizes=(28, 32),
    )
)  # fmt: skip
# for photographs of 64 pixels, trained from nothing
register(
    MobileSpace(
        "mobile-64", stem=16, widths=(24, 40, 80, 112), strides=(2, 2, 2, 1), se=(False, True, False, True),
        acts=("relu", "relu", "hswish", "hswish"), depths=(1, 2, 3), kernels=(3, 5), expands=(3, 4, 6),
        resolutions=(64,), final=480, mix=0, channels=3, classes=10, sizes=(48, 64),
    )
)  # fmt: skip
# for photographs of 96 to 224 pixels, with published weights to start from
register(lite("lite-w1.0", 1.0, 1.0))
register(lite("lite-w1.0-d1.1", 1.0, 1.1))
register(lite("lite-w1.1", 1.1, 1.2))
register(mobilenetv3("mobilenetv3-w1.0", 1.0))
register(mobilenetv3("mobilenetv3-w1.2", 1.2))
# once-for-all's stages as torchvision and timm have them: they differ in a bias and in the norms' epsilon
register(replace(mobilenetv3("mobilenetv3-large", 1.0), mix_bias=True, eps=1e-3))
register(
    UnifiedSpace(
        "unified-32", stem=16, first=16, widths=(24, 24, 40, 40, 64, 64, 64), strides=(1, 1, 2, 1, 2, 1, 1),
        subblocks=4, resolution=32, final=192, classes=10, sizes=(28, 32),
    )
)  # fmt: skip
register(unified("unified-cifar", 32, 1, 10))
register(unified("unified-imagenet", 224, 2, 1000))
register(CellSpace("nasbench201"))
register(DartsSpace("darts"))
register(NasBench301Space("nasbench301"))
register(NsganetSpace("nsganet-micro"))

__all__ = [
    "SPACES", "CellSpace", "Compilable", "DartsSpace", "Decision", "Enumerable", "ForImages", "FromString",
    "MobileSpace", "NasBench301Space", "NsganetSpace", "OnceForAll", "Space", "TableSpace", "UnifiedSpace",
    "read_architecture", "records_of", "register",
]  # fmt: skip
