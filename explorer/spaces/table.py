"""A space of a few given networks, with one decision: which of them. Pruning produces such a space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from explorer.core.architecture import as_codes, choices_of
from explorer.core.config import Settings, parse
from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.spaces.base import Choices, Space

NAME = "table"
# limits of a file; this package writes none beyond them
MOST = {"networks": 100, "layers": 20_000, "channels": 65_536}


class _Row(Settings):
    layer: str
    name: str
    inputs: tuple[str, ...] = ()
    places: tuple[int, ...] = ()


class _Network(Settings):
    name: str
    layers: list[_Row]


class _File(Settings):
    networks: list[_Network]


@dataclass(frozen=True)
class TableSpace(Space):
    """A search space of given networks.

    Attributes:
        networks: name -> layers, in the order of the options.
    """

    networks: Mapping[str, tuple[Layer, ...]]
    name: str = NAME

    supernet: ClassVar[str] = "explorer.supernets.table:TableNetworks"

    def __hash__(self) -> int:
        """Hash by the names of the networks, because a mapping has no hash."""
        return hash(tuple(self.networks))

    @property
    def decisions(self) -> dict[str, tuple[str, ...]]:
        """One decision, `network`: the name of the network."""
        return {"network": tuple(self.networks)}

    @property
    def size(self) -> int:
        """Number of networks."""
        return len(self.networks)

    @property
    def resolutions(self) -> tuple[int, ...]:  # type: ignore[override]
        """The image size that the networks compute at."""
        return (self._first[0].size,)

    @property
    def channels(self) -> int:  # type: ignore[override]
        """Number of channels of the images."""
        return self._first[0].cin

    @property
    def classes(self) -> int:  # type: ignore[override]
        """Number of classes of the images."""
        return self._first[-1].cout

    @property
    def _first(self) -> tuple[Layer, ...]:
        return next(iter(self.networks.values()))

    def enumerate(self) -> np.ndarray:
        """Return all architectures, (n, 1) int8."""
        return np.arange(self.size, dtype=np.int8)[:, None]

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Return a copy of (n, 1) int8 codes: all networks differ."""
        return np.array(as_codes(self, codes))

    def active(self, codes: np.ndarray) -> np.ndarray:
        """Return (n, 1) bool, all True: the decision always affects the network."""
        return np.ones(np.shape(codes), bool)

    def layers(self, architecture: Choices) -> tuple[Layer, ...]:
        """Return the operators that run, in order."""
        return self.networks[self.decisions["network"][choices_of(architecture)[0]]]

    def to_json(self) -> dict[str, Any]:
        """Return the networks as JSON values, for `from_json`."""
        return {"networks": [
            {"name": name, "layers": [
                {"layer": x.signature, "name": x.name, "inputs": list(x.inputs),
                 "places": list(getattr(x, "places", ()))}
                for x in layers
            ]}
            for name, layers in self.networks.items()
        ]}  # fmt: skip

    @classmethod
    def from_json(cls, values: Any, source: str) -> TableSpace:
        """Read the JSON values that `to_json` returned; `source` names them in messages.

        Raises:
            InputError: the values have another structure, or the shapes of the layers do not match.
        """
        file = parse(_File, values, source)
        names = [network.name for network in file.networks]
        if not 0 < len(names) <= MOST["networks"] or len(set(names)) < len(names):
            raise InputError(f"{source}: expected 1 to {MOST['networks']} networks with distinct names")
        return cls({network.name: _layers(network, source) for network in file.networks})


def _layers(network: _Network, source: str) -> tuple[Layer, ...]:
    where = f"{source}: network {network.name!r}"
    if not 0 < len(network.layers) <= MOST["layers"]:
        raise InputError(f"{where} has {len(network.layers)} layers; expected 1 to {MOST['layers']}")
    known: dict[str, Layer] = {}
    for row in network.layers:
        layer = replace(Layer.of_signature(row.layer), name=row.name, inputs=row.inputs)
        if hasattr(layer, "places"):
            layer = replace(layer, places=row.places)  # type: ignore[call-arg]
        if row.name in known or not row.name:
            raise InputError(f"{where}: layer name {row.name!r} is empty or used twice")
        if not all(0 < n <= MOST["channels"] for n in (layer.cin, layer.cout, layer.size, layer.stride, layer.kernel)):
            raise InputError(f"{where}: layer {row.layer!r} has an impossible shape")
        _check_inputs(layer, known, where)
        known[row.name] = layer
    return tuple(known.values())


def _check_inputs(layer: Layer, known: Mapping[str, Layer], where: str) -> None:
    sources = [known[name] for name in layer.inputs if name in known]
    if len(sources) < len(layer.inputs) or (known and not sources):
        raise InputError(
            f"{where}: layer {layer.name!r} reads {list(layer.inputs)}, but every input "
            "must be a layer listed before it"
        )
    if why := layer.misfit(sources):
        raise InputError(f"{where}: layer {layer.name!r} does not fit behind {list(layer.inputs)}: {why}")
