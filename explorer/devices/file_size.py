"""Size of a network's `.tflite` file in eight bits as a device, so that budgets can bound it: `flash_kb`.

It is an upper bound of the file's size without the data that stand beside the network (labels, memory plan), at most
1 % or 512 bytes above it. Weights and biases are counted to the byte; what the format adds was fitted to files of six
spaces. One kB is 1,024 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.architecture import as_codes
from explorer.core.layer import Layer
from explorer.core.protocols import SearchSpace
from explorer.core.steps import WEIGHTED, Step, steps_of
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.kinds import DEVICES
from explorer.devices.memory import KB, reduced, tables
from explorer.devices.quantities import INT8
from explorer.spaces.base import Compilable

# bytes that the format takes for a step, for a kind of steps, for a zero point of its own, for the file, and for every
# number of channels (beside 8 per channel: its zero points are in the file once)
STEP = {"conv": 266, "depthwise": 261, "linear": 266, "add": 125, "scale": 113, "mean": 113, "hswish": 106}
KIND, ZERO, FILE, PER_COUNT = 23, 14, 700, 9
WORD = 64  # bits


def data_of(step: Step) -> int:
    """Return the bytes of the weights, the bias and the scales of a step, as they are aligned in the file."""
    if step.kind not in WEIGHTED:
        return 0
    weights = step.channels * step.stored_kernel**2 * (1 if step.kind == "depthwise" else step.cin)
    return sum(size + -(12 + size) % 16 for size in (weights, 4 * step.channels)) + 8 * step.channels


def size_of(layers: Sequence[Layer]) -> int:
    """Return an upper bound of the bytes of a network's file."""
    steps = steps_of(layers)
    channels, kinds = _distinct(steps)
    return FILE + _bytes(steps) + sum(8 * count + PER_COUNT for count in channels) + KIND * len(kinds)


def _bytes(steps: Sequence[Step]) -> int:
    """Return the bytes that steps take, without what is in the file once for all of them."""
    return sum(STEP[step.kind] + data_of(step) + ZERO * (step.act == "none") for step in steps)


def _distinct(steps: Sequence[Step]) -> tuple[set[int], set[str]]:
    """Return the numbers of output channels of weighted steps, and the kinds of steps."""
    return {step.channels for step in steps if step.kind in WEIGHTED}, {step.kind for step in steps}


class FileSizeDevice(LayerDevice):
    """Size of a network's file in eight bits, in kB; see the module."""

    def __init__(self) -> None:
        source = "layer shapes and the .tflite format (int8; upper bound)"
        super().__init__("flash_kb", "kB", Provenance(kind="counted", source=source), quantity="size", precision=INT8)
        self._parts: dict[Compilable, _Parts] = {}

    @property
    def additive(self) -> bool:
        """Nearly a sum over the layers; some things are in the file once for all of them."""
        return False

    def price(self, layer: Layer) -> float:
        """Return the size of one layer, in kB, without what is in the file once for all of them."""
        return _bytes(layer.steps()) / KB

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """Price architectures: (n, d) int8 -> (n,) in kB.

        Raises:
            InputError: an operator of the space has no form in eight bits.
        """
        codes = as_codes(space, codes)
        if not isinstance(space, Compilable):
            return np.array([size_of(space.layers(row)) for row in codes]) / KB
        if space not in self._parts:
            self._parts[space] = _Parts(space)
        return self._parts[space](codes) / KB


class _Parts:
    """The sizes of all parts of a space, and one bit for everything that is in the file once for all of them."""

    def __init__(self, space: Compilable) -> None:
        self.sizes = tables(space, lambda layers: _bytes(steps_of(layers)))
        self.once: dict[int | str, int] = {}  # number of channels, or kind -> bytes
        bits = tables(space, self._bits, object)
        words = range(0, len(self.once), WORD)
        self.words = [[(genes, _word(table, start)) for genes, table in bits] for start in words]

    def _bits(self, layers: Sequence[Layer]) -> int:
        channels, kinds = _distinct(steps_of(layers))
        things: list[int | str] = [*channels, *kinds]
        for thing in things:
            self.once.setdefault(thing, KIND if isinstance(thing, str) else 8 * thing + PER_COUNT)
        places = list(self.once)
        return int(sum(2 ** places.index(thing) for thing in things))

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        total = FILE + reduced(self.sizes, codes, np.add)
        for start, word in zip(range(0, len(self.once), WORD), self.words):
            has = reduced(word, codes, np.bitwise_or)
            for bit, size in enumerate(list(self.once.values())[start : start + WORD]):
                total += size * ((has >> np.uint64(bit)) & np.uint64(1))
        return total


def _word(table: np.ndarray, start: int) -> np.ndarray:
    """Return `WORD` bits of an array of whole numbers."""
    flat = [(value >> start) & ((1 << WORD) - 1) for value in table.ravel().tolist()]
    return np.array(flat, np.uint64).reshape(table.shape)


DEVICES.register("flash_kb", FileSizeDevice)
