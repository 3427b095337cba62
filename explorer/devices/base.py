"""The base class of devices: a price per layer, a cost compiled once per space, and a provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field, FiniteFloat

from explorer.core.architecture import as_codes, key_of
from explorer.core.config import Settings
from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.protocols import SearchSpace
from explorer.devices.compiled import CompiledCost, compile_parts, price_population
from explorer.devices.quantities import FP32, LATENCY, checked_quantity
from explorer.spaces.base import Compilable

LARGEST = 1e9  # upper limit of a price in any unit: no block takes 1e9 ms, which is eleven days


class Provenance(Settings):
    """Where a device's numbers come from.

    Attributes:
        kind: "measured" (timed by this package or its user), "published" (from someone else's table), "modelled"
            (calculated) or "counted" (exact).
        hardware, runtime, threads, batch: what was timed or modelled; None where the source does not say.
        source: file, table or data sheet.
        error: error on held-out measurements, for example {"mape": 0.05, "kendall_tau": 0.97, "band": 0.1}.
        licence: licence of the source's data, where it belongs to someone else.
        note: anything else a reader must know.
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


class NoPrice(InputError):
    """A network has a layer that the device has no price for.

    Attributes:
        costs: (n,) costs of the population that was to be priced, NaN where a network has none; None where a single
            layer was to be priced.
    """

    def __init__(self, said: str, costs: np.ndarray | None = None) -> None:
        super().__init__(said)
        self.costs = costs


class LayerDevice:
    """A device that prices layers; a network costs `offset + scale * sum over its layers`.

    Subclasses implement `price(layer)`.

    Args:
        name: name used in budgets and table columns.
        unit: unit of the costs.
        provenance: where the numbers come from.
        scale, offset: applied to the sum.
        quantity: what the costs measure: "latency", "memory", "size", "energy", or "count", which is not a target.
        precision: precision of the networks that are priced: "fp32" or "int8".
    """

    def __init__(
        self, name: str, unit: str, provenance: Provenance, scale: float = 1.0, offset: float = 0.0,
        quantity: str = LATENCY, precision: str = FP32,
    ) -> None:  # fmt: skip
        self.name, self.unit, self.provenance = name, unit, provenance
        self.quantity = checked_quantity(name, unit, quantity)
        self.precision = precision
        self.scale, self.offset = scale, offset
        self._compiled: dict[Compilable, CompiledCost] = {}

    def price(self, layer: Layer) -> float:
        """Return the cost of one layer in `unit`, before scale and offset."""
        raise TypeError(f"{type(self).__name__} does not implement price(layer)")

    def price_in(self, layer: Layer, image: int) -> float:
        """Return the cost of one layer in a network that reads images of `image` x `image` pixels.

        By default the image size is ignored; only some published tables depend on it.
        """
        return self.price(layer)

    def outside(self, space: SearchSpace, codes: np.ndarray) -> str:
        """Return a one-line warning where architectures lie outside the range that the device was made for, or ""."""
        return ""

    @property
    def additive(self) -> bool:
        """Whether a network's cost is the sum over its layers, so that `compiled` is exact."""
        return True

    def compiled(self, space: Compilable) -> CompiledCost:
        """Return the cost of a space with `parts()` as small tables, compiled on first use."""
        if space not in self._compiled:
            self._compiled[space] = compile_parts(space, self.price_in, self.scale, self.offset)
        return self._compiled[space]

    def cost(self, space: SearchSpace, codes: np.ndarray) -> np.ndarray:
        """Price architectures: (n, d) int8 -> (n,) in `unit`.

        Raises:
            NoPrice: a network has a layer without a price; the message names both, and `costs` has all other costs.
        """
        codes = as_codes(space, codes)
        if isinstance(space, Compilable):
            costs = self.compiled(space)(codes)
        else:
            costs = price_population(space, codes, self.price_in, self.scale, self.offset)
        if np.isnan(costs).any():
            raise NoPrice(self._missing(space, codes[int(np.isnan(costs).argmax())]), costs)
        return costs

    def _missing(self, space: SearchSpace, codes: np.ndarray) -> str:
        """Say which layer of a network has no price."""
        layers: Sequence[Layer] = space.layers(codes)
        for layer in layers:
            try:
                self.price_in(layer, layers[0].size)
            except InputError as error:
                return f"network {key_of(space, codes)}: {error}"
        return f"network {key_of(space, codes)} has no cost on device {self.name!r}"

    def shares(self, layers: Sequence[Layer]) -> np.ndarray:
        """Return the share of each layer in the network's cost, (n_layers,); the shares add up to 1."""
        prices = np.array([self.price_in(layer, layers[0].size) for layer in layers])
        return prices / prices.sum() if prices.sum() > 0 else prices

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.unit!r}, {self.provenance})"
