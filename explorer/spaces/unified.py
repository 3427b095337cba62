"""The unified family (SGNAS): the same decisions choose each block's mix of kernels and its expansion.

A block expands its input to several sub-blocks with as many channels each as the input. Each sub-block picks a
depthwise kernel or is skipped, so the number of sub-blocks that run is the expansion (SGNAS, Huang and Chu 2021,
section 3). Which sub-block has which kernel does not change the network, so in canonical form kernels descend and skips
come last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from explorer.core.architecture import as_codes
from explorer.core.layer import Layer, Part
from explorer.core.operators import Conv, GlobalPool, Linear, MBConv
from explorer.spaces.base import Choices, Decision, Space
from explorer.spaces.chain import chain_layers

SKIP = 0


@dataclass(frozen=True)
class UnifiedSpace(Space):
    """A search space of unified blocks.

    Attributes:
        name: name under which the space is registered.
        stem, first: channels of the stem and of the fixed MBConv after it (kernel 3, no expansion).
        widths, strides: one entry per block.
        subblocks: number of sub-blocks per block.
        resolution: input size in pixels.
        final: channels of the last 1x1 convolution.
        stem_stride: stride of the stem.
        kernels: the kernels that a sub-block may pick.
        channels, classes: number of channels and of classes of the images.
        sizes: image sizes that a network may compute at without resizing.
    """

    name: str
    stem: int
    first: int
    widths: tuple[int, ...]
    strides: tuple[int, ...]
    subblocks: int
    resolution: int
    final: int
    stem_stride: int = 2
    kernels: tuple[int, ...] = (3, 5, 7)
    channels: int = 3
    classes: int = 1000
    sizes: tuple[int, ...] = ()

    supernet: ClassVar[str] = "explorer.supernets.unified:UnifiedSupernet"
    soft: ClassVar[bool] = True

    @cached_property
    def decisions(self) -> dict[str, tuple[int, ...]]:
        """`b1.1`, `b1.2`, ...: the kernel of each sub-block of each block; 0, except in the first, means skipped."""
        names = [(i + 1, j + 1) for i in range(len(self.widths)) for j in range(self.subblocks)]
        return {f"b{i}.{j}": self.kernels if j == 1 else (SKIP, *self.kernels) for i, j in names}

    @property
    def records(self) -> tuple[Decision, ...]:
        """One decision per sub-block, a kernel or a skip; its place is (block,), its part the number in the block."""
        found = []
        for i, (name, options) in enumerate(self.decisions.items()):
            block, part = divmod(i, self.subblocks)
            found.append(Decision(name, "subblock", options, (block + 1,), part + 1))
        return tuple(found)

    @property
    def resolutions(self) -> tuple[int, ...]:  # type: ignore[override]
        """The single input size."""
        return (self.resolution,)

    @property
    def size(self) -> int:
        """Exact number of canonical architectures: every block has a multiset of kernels."""
        options = len(self.kernels)
        block = sum(math.comb(n + options - 1, options - 1) for n in range(1, self.subblocks + 1))
        return int(block ** len(self.widths))

    def _ranks(self, codes: np.ndarray) -> np.ndarray:
        """Convert option indices (n, d) to ranks (n, blocks, sub-blocks): 0 for skip, then kernels from 1."""
        ranks = as_codes(self, codes).reshape(-1, len(self.widths), self.subblocks).copy()
        ranks[:, :, 0] += 1
        return ranks

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Sort the kernels of every block in descending order, (n, d) int8; idempotent."""
        ranks = -np.sort(-self._ranks(codes), axis=2)
        ranks[:, :, 0] -= 1
        return ranks.reshape(len(ranks), -1).astype(np.int8)

    def active(self, codes: np.ndarray) -> np.ndarray:
        """Return (n, d) bool, all True: every decision affects the network."""
        return np.ones(codes.shape, bool)

    def for_images(self, channels: int, classes: int, size: int) -> UnifiedSpace:
        """Return the same space for images of this shape; the network resizes images whose size is not in `sizes`."""
        resolution = size if size in self.sizes else self.resolution
        return replace(self, channels=channels, classes=classes, resolution=resolution)

    def parts(self) -> list[Part]:
        """Return the parts of a network, each dependent on a few genes; costs are compiled from them."""
        parts = [Part((), lambda _: self._head())]
        for i in range(len(self.widths)):
            genes = tuple(range(i * self.subblocks, (i + 1) * self.subblocks))

            def block(choices: tuple[int, ...], i: int = i) -> tuple[Layer, ...]:
                return (self._block(i, choices),)

            parts.append(Part(genes, block))
        parts.append(Part((), lambda _: self._tail()))
        return parts

    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """Return the operators that run, in order; `MBConv.places` lists the sub-blocks that run."""
        return chain_layers(self, architecture)

    def _size(self, block: int) -> int:
        """Return the feature-map size at the input of a block."""
        size = (self.resolution - 1) // self.stem_stride + 1
        for stride in self.strides[:block]:
            size = (size - 1) // stride + 1
        return size

    def _head(self) -> tuple[Layer, ...]:
        stem = Conv(self.channels, self.stem, self.resolution, 3, self.stem_stride, act="relu", name="stem")
        same = self.stem == self.first
        first = MBConv(self.stem, self.first, self._size(0), 3, 1, mid=self.stem, act="relu", residual=same,
                      name="first")  # fmt: skip
        return stem, first

    def _block(self, i: int, choices: Sequence[int]) -> Layer:
        cin = self.widths[i - 1] if i else self.first
        ranks = [choices[0] + 1, *choices[1:]]
        running = sorted((self.kernels[rank - 1], place) for place, rank in enumerate(ranks) if rank)
        mixed, places = tuple(k for k, _ in running), tuple(p for _, p in running)
        return MBConv(cin, self.widths[i], self._size(i), mixed[-1], self.strides[i], mid=cin * len(mixed), act="relu",
            residual=self.strides[i] == 1 and cin == self.widths[i], mixed=mixed if len(set(mixed)) > 1 else (),
            name=f"stage{self._stage(i)}.{i + 1}", places=places,
        )  # fmt: skip

    def _stage(self, i: int) -> int:
        """Return the stage of a block, from 1: consecutive blocks of the same width are one stage."""
        return 1 + sum(a != b for a, b in zip(self.widths[:i], self.widths[1 : i + 1]))

    def _tail(self) -> tuple[Layer, ...]:
        size = self._size(len(self.widths))
        return (
            Conv(self.widths[-1], self.final, size, act="relu", name="final"),
            GlobalPool(self.final, self.final, size, name="pool"),
            Linear(self.final, self.classes, 1, name="classifier"),
        )


WIDTHS = (32,) * 2 + (40,) * 4 + (80,) * 4 + (96,) * 4 + (192,) * 4 + (320,)


def unified(name: str, resolution: int, stride: int, classes: int) -> UnifiedSpace:
    """Create the space of SGNAS: 19 blocks of 6 sub-blocks; stride 2 at blocks 1 (ImageNet only), 3, 7 and 15."""
    strides = [1] * len(WIDTHS)
    for block in (0, 2, 6, 14):
        strides[block] = 2
    strides[0] = stride
    return UnifiedSpace(name, 32, 16, WIDTHS, tuple(strides), 6, resolution, 1280, stride, classes=classes)
