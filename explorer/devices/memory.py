"""Memory of a network's activations in eight bits as a device, so that budgets can bound it: `ram_kb`.

It is the head of TFLite-Micro's arena for the exported `.tflite` file: the largest sum of the activations that are
alive at one step. That interpreter's own greedy plan needs more for every tenth network or so; the file therefore
brings a plan (`offsets`), which the interpreter follows, and for chains of layers the plan is as small as that sum. So
the memory of a network is the largest of its layers', a maximum and no sum. Weights stay in flash, and what the
interpreter keeps for itself (its tail) depends on its build. One kB is 1,024 bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from explorer.core.architecture import as_codes
from explorer.core.layer import Layer
from explorer.core.protocols import SearchSpace
from explorer.core.steps import IMAGES, Step, steps_of
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.kinds import DEVICES
from explorer.devices.quantities import INT8
from explorer.spaces.base import Compilable

KB = 1024
ALIGNED = 16  # bytes that the planner rounds every tensor up to
SCRATCH = 4  # bytes per channel in which a mean is summed


def planned(steps: Sequence[Step], images: int) -> int:
    """Return the bytes of the plan that TFLite-Micro makes itself (the head of its arena).

    It places the largest tensor first, and every other at the lowest place that is free while it is alive
    (`GreedyMemoryPlanner`); of equal ones, the later first.

    Args:
        steps: the steps, in order.
        images: number of values of the input.
    """
    found = _lives(steps, images)
    order = sorted(range(len(found)), key=lambda i: (-found[i][0], -i))
    placed: list[tuple[int, int, int, int]] = []  # start, size, first, last; by start
    for i in order:
        size, first, last = found[i]
        at = 0
        for start, other, begins, ends in placed:
            if begins <= last and first <= ends:
                if start - at >= size:
                    break
                at = max(at, start + other)
        placed.append((at, size, first, last))
        placed.sort(key=lambda tensor: tensor[0])
    return max(start + size for start, size, _, _ in placed)


def offsets(layers: Sequence[Layer]) -> dict[str, int] | None:
    """Place the tensors of a network in memory, in as many bytes as are alive at one step.

    Memory is filled from both ends. A layer's input lies at one end. If it is added to the output, its other tensors
    lie in turns behind it and at the other end, such that the output comes to lie at the other end; if it is not, they
    lie at both ends in turns. A gate lies behind the tensor that it scales, and what it is computed from opposite. At
    no step is there more than what is alive, so nothing overlaps.

    Returns:
        Tensor -> its first byte; None where tensors would overlap, for networks of other kinds.
    """
    steps, images = steps_of(layers), layers[0].cin * layers[0].size ** 2
    peak, size = alive(steps, images), {IMAGES: _rounded(images)} | {s.name: _rounded(s.elements) for s in steps}
    found, ends = {IMAGES: 0}, {IMAGES: 0}

    def place(tensor: str, end: int, behind: int) -> None:
        found[tensor] = behind if end == 0 else peak - behind - size[tensor]

    for layer in layers:
        own, end = layer.steps(), ends.get(layer.source)
        if end is None:
            return None
        gates = _gates(own)
        chain = [step.name for step in own if step.name not in {name for small in gates.values() for name in small}]
        added = size[layer.source] if own[-1].kind == "add" else 0
        for i, tensor in enumerate(chain, 1):
            far = (len(chain) - i) % 2 == 0 if added else i % 2 == 1
            at, behind = (1 - end, 0) if far else (end, added)
            place(tensor, at, behind)
            if tensor in gates:
                *inner, gate = gates[tensor]
                place(gate, at, behind + size[tensor])
                opposite, before = (end, added) if far else (1 - end, 0)
                for small in inner:
                    place(small, opposite, before)
                    before += size[small]
        ends = {chain[-1]: 1 - end if added or len(chain) % 2 else end}
    return found if _apart(found, steps, images, peak) else None


def _gates(steps: Sequence[Step]) -> dict[str, list[str]]:
    """Return tensor -> the tensors by which its gate is computed, of all that are scaled by a gate of their own."""
    by_name, found = {step.name: step for step in steps}, {}
    for step in steps:
        if step.kind == "scale":
            scaled, gate = step.inputs
            names = [gate]
            while (source := by_name[names[0]].inputs[0]) != scaled:
                names.insert(0, source)
            found[scaled] = names
    return found


def _apart(found: dict[str, int], steps: Sequence[Step], images: int, peak: int) -> bool:
    """Return whether tensors that are alive at the same time do not overlap, and lie within the memory."""
    lives = dict(zip([IMAGES, *(step.name for step in steps)], _lives(steps, images)))
    for i in range(1, len(steps) + 1):
        now = sorted((found[name], size) for name, (size, first, last) in lives.items() if first <= i <= last)
        if any(a + size > b for (a, size), (b, _) in pairwise(now)) or now[0][0] < 0 or sum(now[-1]) > peak:
            return False
    return True


def _lives(steps: Sequence[Step], images: int) -> list[tuple[int, int, int]]:
    """Return (bytes, first step, last step) of every tensor, in the order in which the planner hears of them."""
    last = {source: i for i, step in enumerate(steps, 1) for source in step.inputs}
    last[steps[-1].name] = len(steps)
    found = [(_rounded(images), 0, last[IMAGES])]
    found += [(_rounded(step.elements), i, last.get(step.name, i)) for i, step in enumerate(steps, 1)]
    return found + [(_rounded(SCRATCH * step.channels), i, i) for i, step in enumerate(steps, 1) if step.kind == "mean"]


def _rounded(size: int) -> int:
    return -(-size // ALIGNED) * ALIGNED


def alive(steps: Sequence[Step], images: int) -> int:
    """Return the largest sum of the bytes of the tensors that are alive at one step."""
    lives = _lives(steps, images)
    return max(sum(size for size, first, last in lives if first <= i <= last) for i in range(1, len(steps) + 1))


class MemoryDevice(LayerDevice):
    """Peak memory of a network's activations in eight bits, in kB; see the module."""

    def __init__(self) -> None:
        source = "layer shapes, as TFLite-Micro plans its arena (head; int8 activations)"
        super().__init__("ram_kb", "kB", Provenance(kind="counted", source=source), quantity="memory", precision=INT8)
        self._peaks: dict[Compilable, list[tuple[tuple[int, ...], np.ndarray]]] = {}

    @property
    def additive(self) -> bool:
        """A maximum over the layers, not a sum."""
        return False

    def price(self, layer: Layer) -> float:
        """Return the memory that one layer needs, in kB, with its input."""
        steps = [_alone(step, layer) for step in layer.steps()]
        return alive(steps, layer.cin * layer.size**2) / KB

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """Price architectures: (n, d) int8 -> (n,) in kB.

        Raises:
            InputError: an operator of the space has no form in eight bits.
        """
        codes = as_codes(space, codes)
        if not isinstance(space, Compilable):
            return np.array([memory_of(space.layers(row)) / KB for row in codes])
        if space not in self._peaks:
            self._peaks[space] = tables(space, lambda layers: max((self.price(layer) for layer in layers), default=0.0))
        return reduced(self._peaks[space], codes, np.maximum)

    def shares(self, layers: Sequence[Layer]) -> np.ndarray:
        """Return each layer's memory over that of the network, (n_layers,): 1 where it decides."""
        own = np.array([self.price(layer) for layer in layers])
        return np.asarray(own / own.max())


def _alone(step: Step, layer: Layer) -> Step:
    """Return a step of a layer whose input is the image."""
    return replace(step, inputs=tuple(IMAGES if source == layer.source else source for source in step.inputs))


def memory_of(layers: Sequence[Layer]) -> int:
    """Return the bytes that the activations of one network need, with the plan in its file if there is one."""
    steps, images = steps_of(layers), layers[0].cin * layers[0].size ** 2
    return planned(steps, images) if offsets(layers) is None else alive(steps, images)


def tables(
    space: Compilable, price: Callable[[Sequence[Layer]], Any], kind: type = float
) -> list[tuple[tuple[int, ...], np.ndarray]]:
    """Return genes and an array of prices, with one axis per gene, for every part of a space."""
    counts, found = [len(options) for options in space.decisions.values()], []
    for part in space.parts():
        shape = tuple(counts[gene] for gene in part.genes)
        table: np.ndarray = np.empty(shape, kind)
        for choices in np.ndindex(*shape):
            table[choices] = price(part.layers(choices))
        found.append((part.genes, table))
    return found


def reduced(parts: Sequence[tuple[tuple[int, ...], np.ndarray]], codes: np.ndarray, join: np.ufunc) -> np.ndarray:
    """Return the prices of all parts, joined: (n, d) -> (n,)."""
    genes = np.ascontiguousarray(codes.T).astype(np.intp)
    total = np.zeros(len(codes), parts[0][1].dtype)
    for chosen, table in parts:
        total = join(total, table[tuple(genes[gene] for gene in chosen)])
    return total


DEVICES.register("ram_kb", MemoryDevice)
