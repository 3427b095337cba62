"""The unified family: every block mixes kernels and chooses its expansion by the same decisions.

A block expands its input to several sub-blocks of as many channels as the input; each sub-block picks a depthwise
kernel or is skipped, so the number of sub-blocks that run is the expansion (SGNAS, Huang and Chu 2021, section 3).
Which sub-block has which kernel does not change the network, so the canonical form has kernels descending, skips last.
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
        name: its registered name.
        stem, first: channels of the stem and of the fixed MBConv behind it (kernel 3, no expansion).
        widths, strides: one entry per block.
        subblocks: per block.
        resolution: input size; `sizes` are image sizes that a network may compute at as they are.
        final: channels of the last 1x1 convolution.
        stem_stride: stride of the stem.
        kernels: that a sub-block may pick.
        channels, classes: of the images.
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
        """`b1.1`, `b1.2`, ...: the kernel of every sub-block of every block, 0 where it is skipped; never the first."""
        names = [(i + 1, j + 1) for i in range(len(self.widths)) for j in range(self.subblocks)]
        return {f"b{i}.{j}": self.kernels if j == 1 else (SKIP, *self.kernels) for i, j in names}

    @property
    def records(self) -> tuple[Decision, ...]:
        """Every sub-block chooses a kernel, or to be skipped; its place is (block,), its part its number in it."""
        found = []
        for i, (name, options) in enumerate(self.decisions.items()):
            block, part = divmod(i, self.subblocks)
            found.append(Decision(name, "subblock", options, (block + 1,), part + 1))
        return tuple(found)

    @property
    def resolutions(self) -> tuple[int, ...]:  # type: ignore[override]
        """The one input size."""
        return (self.resolution,)

    @property
    def size(self) -> int:
        """Exact number of canonical architectures: multisets of kernels, per block."""
        options = len(self.kernels)
        block = sum(math.comb(n + options - 1, options - 1) for n in range(1, self.subblocks + 1))
        return int(block ** len(self.widths))

    def _ranks(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) options -> (n, blocks, sub-blocks): 0 for skip, then kernels from 1."""
        ranks = as_codes(self, codes).reshape(-1, len(self.widths), self.subblocks).copy()
        ranks[:, :, 0] += 1
        return ranks

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 with descending kernels in every block; idempotent."""
        ranks = -np.sort(-self._ranks(codes), axis=2)
        ranks[:, :, 0] -= 1
        return ranks.reshape(len(ranks), -1).astype(np.int8)

    def active(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) bool: every decision matters."""
        return np.ones(codes.shape, bool)

    def for_images(self, channels: int, classes: int, size: int) -> UnifiedSpace:
        """The same space for images of this shape; a size that is not among `sizes` is resized by the network."""
        resolution = size if size in self.sizes else self.resolution
        return replace(self, channels=channels, classes=classes, resolution=resolution)

    def parts(self) -> list[Part]:
        """The pieces of a network, each dependent on a few genes: what costs are compiled from."""
        parts = [Part((), lambda _: self._head())]
        for i in range(len(self.widths)):
            genes = tuple(range(i * self.subblocks, (i + 1) * self.subblocks))

            def block(choices: tuple[int, ...], i: int = i) -> tuple[Layer, ...]:
                return (self._block(i, choices),)

            parts.append(Part(genes, block))
        parts.append(Part((), lambda _: self._tail()))
        return parts

    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """The operators that run, in order; `Layer.places` tells which sub-blocks they are."""
        return chain_layers(self, architecture)

    def _size(self, block: int) -> int:
        """Feature-map size at the input of a block."""
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
        """Blocks of one width are one stage, from 1."""
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
    """SGNAS's space: 19 blocks of 6 sub-blocks; stride 2 at blocks 1 (ImageNet only), 3, 7 and 15."""
    strides = [1] * len(WIDTHS)
    for block in (0, 2, 6, 14):
        strides[block] = 2
    strides[0] = stride
    return UnifiedSpace(name, 32, 16, WIDTHS, tuple(strides), 6, resolution, 1280, stride, classes=classes)
