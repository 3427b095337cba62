"""A block table: the latency of every layer, measured one by one; a network costs their sum (Cai et al. 2019)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.operators import Linear
from explorer.core.protocols import SearchSpace
from explorer.devices.base import LARGEST, LayerDevice, NoPrice, Provenance
from explorer.devices.kinds import KINDS, DeviceFile, DeviceKind
from explorer.devices.quantities import FP32, LATENCY, MILLISECONDS


def block_key(layer: Layer, image: int | None = None) -> str:
    """Return the key of a block: its signature, after the image size where it was measured for that size only."""
    return layer.signature if image is None else f"r{image} {layer.signature}"


class TableFile(DeviceFile):
    """The JSON of a block table; see `BlockTable`."""

    kind: Literal["table"]
    blocks: dict[str, float] = Field(default_factory=dict)
    scale: float = Field(1.0, gt=0, le=1e9)
    offset: float = Field(0.0, ge=0, le=LARGEST)
    interpolates: bool = False
    uncounted: list[str] = Field(default_factory=list)


class BlockTable(LayerDevice):
    """A device with a table of layer latencies; a layer that is not in the table is an error, never a guess.

    A classifier whose width was not measured is interpolated between the measured widths for the same input.

    Args:
        name: name of the device.
        provenance: where the timings come from.
        blocks: `block_key` -> price.
        scale, offset: fitted to whole networks, to include what timing blocks alone misses.
        interpolates: whether a feature-map size between two measured ones is interpolated over its area, all else
            equal.
        uncounted: operators that the source of the table leaves out of a network's sum.
        unit, quantity: unit of the prices, and what they measure.
        precision: precision of the networks that are priced.

    Raises:
        InputError: there is no block, or a price is negative or not a number.
    """

    def __init__(
        self, name: str, provenance: Provenance, blocks: Mapping[str, float], scale: float = 1.0, offset: float = 0.0,
        interpolates: bool = False, uncounted: Sequence[str] = (), unit: str = MILLISECONDS, quantity: str = LATENCY,
        precision: str = FP32,
    ) -> None:  # fmt: skip
        super().__init__(name, unit, provenance, scale, offset, quantity, precision)
        for key, value in blocks.items():
            if not 0 <= value <= LARGEST:
                raise InputError(
                    f"device {name!r}: block {key!r} costs {value!r}; expected a number of {unit} from 0 to {LARGEST:g}"
                )
        if not blocks:
            raise InputError(f"device {name!r}: blocks = {{}}: a block table needs at least one block")
        self.blocks, self.interpolates, self.uncounted = dict(blocks), interpolates, tuple(uncounted)

    def price(self, layer: Layer) -> float:
        """Return the price of a layer, for any image size.

        Raises:
            NoPrice: the table does not have this layer.
        """
        return self._price(layer, None)

    def price_in(self, layer: Layer, image: int) -> float:
        """Return the price of a layer in a network that reads images of `image` x `image` pixels."""
        return self._price(layer, image)

    def outside(self, space: SearchSpace, codes: np.ndarray) -> str:
        """Return one line on the networks that the table does not cover; "" where it covers all."""
        try:
            self.cost(space, codes)
        except NoPrice as error:
            missing: list[bool] = np.isnan(np.asarray(error.costs, float)).tolist()
            share = sum(missing) / len(missing)
            return f"device {self.name!r} has no cost for {share:.0%} of these networks, for example {error}"
        return ""

    def _price(self, layer: Layer, image: int | None) -> float:
        for key in (block_key(layer, image), layer.signature):
            if key in self.blocks:
                return self.blocks[key]
        if layer.op in self.uncounted:
            return 0.0
        found = self._between(layer)
        if found is None:
            raise NoPrice(
                f"device {self.name!r} has no measurement of layer {layer.name!r} ({block_key(layer, image)}); "
                f"its table of {len(self.blocks)} blocks does not cover this network"
                + (f" ({self.provenance.source})" if self.provenance.source else "")
            )
        return found

    def _between(self, layer: Layer) -> float | None:
        """Return the interpolated latency; None without measured values on both sides."""
        known, at = [], 0
        if isinstance(layer, Linear):
            pattern, at = rf"linear {layer.cin}-(\d{{1,6}}) 1px", layer.cout
            known = [(int(m[1]), ms) for key, ms in self.blocks.items() if (m := re.fullmatch(pattern, key))]
        elif self.interpolates:
            head, tail = re.escape(layer.signature).split(re.escape(f" {layer.size}px"), 1)
            at = layer.size**2
            found = ((re.fullmatch(rf"{head} (\d{{1,6}})px{tail}", key), ms) for key, ms in self.blocks.items())
            known = [(int(m[1]) ** 2, ms) for m, ms in found if m]
        known.sort()
        if not known or not known[0][0] <= at <= known[-1][0]:
            return None
        return float(np.interp(at, [x for x, _ in known], [ms for _, ms in known]))


def _read(file: TableFile) -> BlockTable:
    return BlockTable(
        file.name, file.provenance, file.blocks, file.scale, file.offset, file.interpolates, file.uncounted, file.unit,
        file.quantity, file.precision,
    )  # fmt: skip


def _write(device: BlockTable) -> dict[str, Any]:
    return {
        "scale": device.scale, "offset": device.offset, "interpolates": device.interpolates,
        "uncounted": list(device.uncounted), "blocks": device.blocks,
    }  # fmt: skip


KINDS.register("table", DeviceKind(TableFile, BlockTable, _read, _write))
