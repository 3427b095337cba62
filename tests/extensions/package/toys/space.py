"""A space of a new family: three convolutions whose kernels are chosen, and its supernet, which crops kernels."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from explorer.core.architecture import as_codes, choices_of
from explorer.core.layer import Part
from explorer.core.operators import Conv, GlobalPool, Linear
from explorer.spaces import Space
from explorer.spaces.chain import chain_layers

KERNELS, WIDTH = (1, 3, 5), 8


@dataclass(frozen=True)
class KernelSpace(Space):
    name: str
    channels: int = 1
    classes: int = 10
    resolutions: tuple = (8,)

    supernet = "toys.space_supernet:KernelSupernet"

    @cached_property
    def decisions(self):
        return {f"k{i}": KERNELS for i in (1, 2, 3)}

    def canonical(self, codes):
        return np.array(as_codes(self, codes))

    def for_images(self, channels, classes, size):
        return replace(self, channels=channels, classes=classes, resolutions=(size,))

    def parts(self):
        size = self.resolutions[0]

        def block(i):
            cin = self.channels if i == 0 else WIDTH
            return lambda c: (Conv(cin, WIDTH, size, KERNELS[c[0]], act="relu", name=f"stage1.{i + 1}"),)

        tail = GlobalPool(WIDTH, WIDTH, size, name="pool"), Linear(WIDTH, self.classes, 1, name="classifier")
        return [*(Part((i,), block(i)) for i in range(3)), Part((), lambda _: tail)]

    def layers(self, architecture):
        return chain_layers(self, choices_of(architecture))


SPACE = KernelSpace("toy-kernels")
