"""A fitted device: latency as a weighted sum of what each layer does (`features`).

It prices shapes that nobody measured, so it says where it was fitted, and `outside` tells where it extrapolates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.operators import MBConv
from explorer.core.protocols import SearchSpace
from explorer.core.work import FEATURES
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.features import features
from explorer.devices.kinds import KINDS, DeviceFile, DeviceKind
from explorer.devices.quantities import LATENCY, MILLISECONDS

HEAVIEST = 1e6  # cost per unit of a feature


class LayersFile(DeviceFile):
    """The JSON of a fitted device; see `LayerModel`."""

    kind: Literal["layers"]
    weights: dict[str, float] = Field(default_factory=dict)
    domain: dict[str, tuple[float, float]] = Field(default_factory=dict)


class LayerModel(LayerDevice):
    """Latency from layer features.

    Args:
        name: the device's name.
        provenance: of the fit, with its error.
        weights: feature -> cost per unit of it, none negative; features without a weight cost nothing.
        domain: what was fitted: "size" and "channels" of layers, "cost" of what was measured, each (low, high).
        unit, quantity: of the costs.

    Raises:
        InputError: an unknown feature, or a weight that is negative or no number, or none above 0.
    """

    def __init__(
        self, name: str, provenance: Provenance, weights: Mapping[str, float],
        domain: Mapping[str, Sequence[float]] | None = None, unit: str = MILLISECONDS, quantity: str = LATENCY,
    ) -> None:  # fmt: skip
        super().__init__(name, unit, provenance, quantity=quantity)
        for feature, weight in weights.items():
            if feature not in FEATURES:
                raise InputError(f"device {name!r}: unknown feature {feature!r}; choose from: {', '.join(FEATURES)}")
            if not 0 <= weight <= HEAVIEST:
                raise InputError(
                    f"device {name!r}: feature {feature!r} has weight {weight!r}; expected 0 to 1e6 {unit}"
                )
        if not any(weights.values()):
            raise InputError(f"device {name!r}: no feature has a weight above 0, so everything would cost nothing")
        self.weights = dict(weights)
        self.domain = {key: (float(low), float(high)) for key, (low, high) in (domain or {}).items()}
        self._vector = np.array([self.weights.get(feature, 0.0) for feature in FEATURES])

    def price(self, layer: Layer) -> float:
        """Cost of a layer in `unit`."""
        return float(features(layer) @ self._vector)

    def outside(self, space: SearchSpace, codes: np.ndarray) -> str:
        """One line on what lies outside the fitted range, "" where all of it was fitted."""
        said = []
        every = {layer for row in codes for layer in space.layers(row)}
        layers = {layer for layer in every if isinstance(layer, MBConv)}
        foreign = sorted({f"{x.op} k{x.kernel}" for x in every if not x.fitted})
        said += [f"operators {', '.join(foreign)} (none fitted)"] if foreign else []
        channels = [c for layer in layers for c in (layer.cin, layer.cout)]
        seen = {"size": [x.size for x in layers], "channels": channels, "cost": self.cost(space, codes)}
        units = {"size": "px", "channels": "channels", "cost": self.unit}
        for key, (low, high) in self.domain.items():
            values = np.asarray(seen.get(key, []), float)
            if len(values) and (values.min() < low * (1 - 1e-9) or values.max() > high * (1 + 1e-9)):
                said.append(
                    f"{key} {values.min():.4g} to {values.max():.4g} {units[key]} (fitted {low:.4g} to {high:.4g})"
                )
        return f"device {self.name!r} extrapolates: {'; '.join(said)}" if said else ""


def _read(file: LayersFile) -> LayerModel:
    return LayerModel(file.name, file.provenance, file.weights, file.domain, file.unit, file.quantity)


def _write(device: LayerModel) -> dict[str, Any]:
    return {"domain": device.domain, "weights": device.weights}


KINDS.register("layers", DeviceKind(LayersFile, LayerModel, _read, _write))
