"""What every device of ours shares: a price per layer, a cost compiled once per space, and a provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field, FiniteFloat

from explorer.core.architecture import as_codes
from explorer.core.config import Settings
from explorer.core.layer import Layer
from explorer.core.protocols import SearchSpace
from explorer.devices.compiled import CompiledCost, compile_parts, price_population
from explorer.devices.quantities import LATENCY
from explorer.spaces.base import Compilable

LARGEST = 1e9  # of a price in any unit: no block takes eleven days, or as many bytes


class Provenance(Settings):
    """Where a device's numbers come from.

    Attributes:
        kind: "measured" (timed by us or the user), "published" (somebody's table) or "modelled" (calculated).
        hardware, runtime, threads, batch: what was timed or modelled; None where the source does not say.
        source: file, table or data sheet.
        error: on measurements that were not fitted, for example {"mape": 0.05, "kendall_tau": 0.97, "band": 0.1}.
        licence: of the source's data, where it is somebody else's.
        note: anything a reader must know.
    """

    kind: Literal["measured", "published", "modelled", "counted"]
    hardware: str = ""
    runtime: str = ""
    threads: int | None = None
    batch: int | None = None
    source: str = ""
    error: dict[str, FiniteFloat] = Field(default_factory=dict)
    licence: str = ""
    note: str = ""

    def __str__(self) -> str:
        parts = [self.kind, self.hardware, self.runtime]
        parts += [f"{self.threads} thread{'s' * (self.threads != 1)}"] if self.threads else []
        parts += [f"batch {self.batch}"] if self.batch else []
        return ", ".join(part for part in parts if part)


class LayerDevice:
    """A device that prices layers; a network costs `offset + scale * sum`.

    Subclasses give `price(layer)`.

    Args:
        name: what budgets and columns call it.
        unit: of its costs.
        provenance: where its numbers come from.
        scale, offset: of the sum.
        quantity: what it counts: "latency", "memory", "size", "energy", or "count", which is no target.
    """

    def __init__(
        self, name: str, unit: str, provenance: Provenance, scale: float = 1.0, offset: float = 0.0,
        quantity: str = LATENCY,
    ) -> None:  # fmt: skip
        self.name, self.unit, self.quantity, self.provenance = name, unit, quantity, provenance
        self.scale, self.offset = scale, offset
        self._compiled: dict[Compilable, CompiledCost] = {}

    def price(self, layer: Layer) -> float:
        """Cost of one layer in `unit`, before scale and offset."""
        raise TypeError(f"{type(self).__name__} has no price(layer)")

    def price_in(self, layer: Layer, image: int) -> float:
        """The same in a network that reads images of this size; only some published tables tell them apart."""
        return self.price(layer)

    def outside(self, space: SearchSpace, codes: np.ndarray) -> str:
        """One line where these architectures lie outside what the device was made from, else ""."""
        return ""

    @property
    def additive(self) -> bool:
        """Whether a network's cost is the sum over its layers, so that `compiled` is exact."""
        return True

    def compiled(self, space: Compilable) -> CompiledCost:
        """The cost of a space with `parts()` as small tables, made once."""
        if space not in self._compiled:
            self._compiled[space] = compile_parts(space, self.price_in, self.scale, self.offset)
        return self._compiled[space]

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n,) in `unit`."""
        codes = as_codes(space, codes)
        if isinstance(space, Compilable):
            return self.compiled(space)(codes)
        return price_population(space, codes, self.price_in, self.scale, self.offset)

    def shares(self, layers: Sequence[Layer]) -> np.ndarray:
        """(n_layers,) share of each layer in the network's cost; they add up to 1."""
        prices = np.array([self.price_in(layer, layers[0].size) for layer in layers])
        return prices / prices.sum() if prices.sum() > 0 else prices

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.unit!r}, {self.provenance})"
