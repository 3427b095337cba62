"""A fitted device: latency is a weighted sum of the features of each layer.

It prices shapes that were never measured, so it records the range it was fitted on; `outside` reports extrapolation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from pydantic import Field

from explorer.core.architecture import as_codes
from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.operators import MBConv
from explorer.core.protocols import SearchSpace
from explorer.core.work import FEATURES
from explorer.devices.base import LayerDevice, Provenance
from explorer.devices.features import features
from explorer.devices.kinds import KINDS, DeviceFile, DeviceKind
from explorer.devices.quantities import FP32, LATENCY, MILLISECONDS
from explorer.spaces.base import distinct_layers

HEAVIEST = 1e6  # upper limit of a weight, the cost per unit of a feature


class LayersFile(DeviceFile):
    """The JSON of a fitted device; see `LayerModel`."""

    kind: Literal["layers"]
    weights: dict[str, float] = Field(default_factory=dict)
    domain: dict[str, tuple[float, float]] = Field(default_factory=dict)


class LayerModel(LayerDevice):
    """A device whose costs are a weighted sum of layer features.

    Args:
        name: name of the device.
        provenance: where the measurements come from, with the error of the fit.
        weights: feature -> cost per unit, never negative; features without a weight cost nothing.
        domain: range of the fit, each (low, high): "size" in pixels and "channels" of layers, "cost" of the
            measurements.
        unit, quantity: unit of the costs, and what they measure.
        precision: precision of the networks that are priced.

    Raises:
        InputError: a feature is unknown, a weight is negative or not a number, or no weight is above 0.
    """

    def __init__(
        self, name: str, provenance: Provenance, weights: Mapping[str, float],
        domain: Mapping[str, Sequence[float]] | None = None, unit: str = MILLISECONDS, quantity: str = LATENCY,
        precision: str = FP32,
    ) -> None:  # fmt: skip
        super().__init__(name, unit, provenance, quantity=quantity, precision=precision)
        for feature, weight in weights.items():
            if feature not in FEATURES:
                raise InputError(f"device {name!r}: unknown feature {feature!r}; choose from: {', '.join(FEATURES)}")
            if not 0 <= weight <= HEAVIEST:
                raise InputError(
                    f"device {name!r}: feature {feature!r} has weight {weight!r}; expected 0 to 1e6 {unit}"
                )
        if not any(weights.values()):
            raise InputError(f"device {name!r}: all weights are 0, so every network would cost 0")
        self.weights = dict(weights)
        self.domain = {key: (float(low), float(high)) for key, (low, high) in (domain or {}).items()}
        self._vector = np.array([self.weights.get(feature, 0.0) for feature in FEATURES])

    def price(self, layer: Layer) -> float:
        """Return the cost of a layer in `unit`."""
        return float(features(layer) @ self._vector)

    def outside(self, space: SearchSpace, codes: np.ndarray) -> str:
        """Return one line on what lies outside the fitted range; "" where nothing does."""
        said = []
        every = distinct_layers(space, as_codes(space, codes))
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
    return LayerModel(file.name, file.provenance, file.weights, file.domain, file.unit, file.quantity, file.precision)


def _write(device: LayerModel) -> dict[str, Any]:
    return {"domain": device.domain, "weights": device.weights}


KINDS.register("layers", DeviceKind(LayersFile, LayerModel, _read, _write))
