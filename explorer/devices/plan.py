"""Plan what to time for a block table: every distinct block of some spaces, and whole networks to check their sum.

The plan is the same whether the graphs run here (`measure`) or on another machine (`kit`); `table_from` turns the
timings into a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.operators import GlobalPool
from explorer.devices.base import Provenance
from explorer.devices.quantities import FP32
from explorer.devices.table import BlockTable
from explorer.spaces.base import Compilable, Space, records_of, resolution_gene

LEAST = 0.05  # minimum share of a network's time that its blocks, timed alone, must explain
ENOUGH = 20  # number of whole networks from which more than scale and offset is fitted
NOTHING = GlobalPool(1, 1, 1, name="call")  # a graph that computes nothing: its time is the overhead of a call


@dataclass(frozen=True)
class Plan:
    """What to time.

    Attributes:
        blocks: distinct layers, each timed alone.
        networks: whole networks; every second one is used to fit scale and offset, the others to estimate the error.
        interpolates: whether some image sizes are left out; costs of feature maps between timed sizes are interpolated.
    """

    blocks: tuple[Layer, ...]
    networks: tuple[tuple[Layer, ...], ...]
    interpolates: bool = False

    @property
    def graphs(self) -> list[tuple[Layer, ...]]:
        """Everything that is timed, in order: the empty call, the blocks, the networks."""
        return [(NOTHING,), *((layer,) for layer in self.blocks), *self.networks]

    def table(self, name: str, ms: Sequence[float], provenance: Provenance, precision: str) -> BlockTable:
        """Create a device from the milliseconds of all graphs; see `table_from`."""
        blocks = {layer.signature: float(t) for layer, t in zip(self.blocks, ms[1:])}
        networks = [[layer.signature for layer in layers] for layers in self.networks]
        whole = list(zip(networks, map(float, ms[1 + len(self.blocks) :])))
        return table_from(name, float(ms[0]), blocks, whole, provenance, precision=precision)


def make_plan(spaces: Sequence[Space], networks: int = 100, most: int | None = None, seed: int = 0) -> Plan:
    """Plan the measurement of some spaces.

    Args:
        spaces: search spaces with `parts()`.
        networks: number of whole networks, drawn evenly from the spaces; half are held out to estimate the error.
        most: maximum number of graphs; image sizes are left out until the plan fits.
        seed: seed for drawing the networks.

    Raises:
        InputError: even with two image sizes there are more than `most` graphs.
    """
    rng = np.random.default_rng(seed)
    for step in range(25):
        narrowed = [_thinned(space, step) for space in spaces]
        blocks = sorted({x for space in narrowed for x in all_layers(space)}, key=lambda layer: layer.signature)
        if most is None or 1 + len(blocks) + networks <= most:
            break
    else:
        raise InputError(f"{1 + len(blocks) + networks} graphs are needed, but at most {most} are allowed")
    whole = []
    for i in range(networks):
        space = narrowed[i // 2 % len(narrowed)]
        whole.append(tuple(space.layers(space.sample(1, rng)[0])))
    return Plan(tuple(blocks), tuple(whole), any(a is not b for a, b in zip(spaces, narrowed)))


def whole_plan(spaces: Sequence[Space], networks: int, seed: int = 0) -> Plan:
    """Plan to time whole networks only, drawn evenly from the spaces."""
    rng = np.random.default_rng(seed)
    drawn = [spaces[i % len(spaces)] for i in range(networks)]
    return Plan((), tuple(tuple(space.layers(space.sample(1, rng)[0])) for space in drawn))


def _thinned(space: Space, step: int) -> Space:
    """Return the space with `step` fewer image sizes: both ends are kept, the others evenly spread."""
    gene = resolution_gene(space)
    record = None if gene is None else records_of(space)[gene]
    if step == 0 or record is None or len(record.options) <= 2:
        return space
    kept = max(2, len(record.options) - step)
    rows = np.linspace(0, len(record.options) - 1, kept).round().astype(int)
    return space.restrict({record.name: [record.options[i] for i in rows]})


def all_layers(space: Space) -> set[Layer]:
    """Return every distinct layer of a space with `parts()`.

    Raises:
        InputError: the space does not have `parts()`.
    """
    if not isinstance(space, Compilable):
        raise InputError(
            f"space {space.name!r}: its networks have too many different layers to be timed one by one; choose a space "
            "of the mobile or the unified family"
        )
    counts = [len(options) for options in space.decisions.values()]
    found: set[Layer] = set()
    for part in space.parts():
        for choices in np.ndindex(*(counts[g] for g in part.genes)):
            found.update(part.layers(choices))
    return found


def table_from(
    name: str, call_ms: float, blocks: dict[str, float], networks: Sequence[tuple[Sequence[str], float]],
    provenance: Provenance, interpolates: bool = False, precision: str = FP32,
) -> BlockTable:  # fmt: skip
    """Create a device from the timings of a plan.

    The price of a block is its time minus that of an empty call. A block timed alone differs from one inside a network
    in two ways. The runtime converts input and output to its own memory layout, which a network does only at its ends.
    The weights stay in the nearest cache, which they do not in a network. Both costs (per block and value, per weight),
    a scale and an offset are fitted to every second network; the other networks give the error. Where whole networks do
    not get slower with their blocks (a busy machine, few rounds), the blocks are summed without a fit.

    Args:
        name: name of the device.
        call_ms: time of the empty call.
        blocks: signature -> ms.
        networks: per network, the signatures of its layers, and ms.
        provenance: what was timed; source, error and note are filled in.
        interpolates: see `Plan`.
        precision: precision of what was timed.

    Raises:
        InputError: a layer of a network is not among the blocks.
    """
    from explorer.devices.fit import error_of

    lacking = [s for signatures, _ in networks for s in signatures if s not in blocks]
    if lacking:
        raise InputError(f"a whole network has a layer that was not timed: {lacking[0]!r}")
    measured, fitted = np.array([ms for _, ms in networks]), np.arange(len(networks)) % 2 == 0
    names = list(blocks)
    layers = [Layer.of_signature(name) for name in names]
    net = np.array([max(0.0, blocks[name] - call_ms) for name in names])
    counts = np.array([[signatures.count(name) for name in names] for signatures, _ in networks]).reshape(
        -1, len(names)
    )
    scale, offset, error, fits = 1.0, 0.0, {}, list[str]()
    if len(networks) >= ENOUGH:
        values = np.array([x.cin * x.size**2 + x.cout * x.size_out**2 for x in layers], float)
        weights = np.array([x.params() for x in layers]) / 1e6
        paid = np.stack([-np.ones(len(names)), -values, weights], 1)
        alone, *each, _ = _coefficients((counts @ np.column_stack([net, paid]))[fitted], measured[fitted])
        # otherwise the timings are noise, and the division would inflate the costs
        if alone > LEAST:
            net = np.maximum(0.0, net + paid @ each / alone)
            fits.append("the overhead of timing blocks alone")
    if len(networks) >= 4:
        scale, offset = (round(x, 6) for x in _coefficients((counts @ net)[fitted, None], measured[fitted]))
        if scale:
            fits.append("scale and offset")
        else:  # network timings are noise: the sum of the blocks says more than their mean
            scale, offset = 1.0, 0.0
        error = error_of(offset + scale * (counts @ net)[~fitted], measured[~fitted])
    prices = {name: round(float(ms), 6) for name, ms in zip(names, net)}
    how = "timed" if provenance.kind == "measured" else "estimated"
    note = f"error on {(~fitted).sum()} held-out networks {how} in the same run" if error else "error unknown"
    if interpolates:
        note += "; feature-map sizes between the timed ones are interpolated over their area"
    source = f"{len(prices)} blocks {how} one by one; "
    source += f"{', '.join(fits)} fitted on {fitted.sum()} whole networks" if fits else "summed without a fit"
    about = provenance.model_copy(update={"source": source, "error": error, "note": note})
    return BlockTable(name, about, prices, scale, offset, interpolates, precision=precision)


def _coefficients(columns: np.ndarray, measured: np.ndarray) -> list[float]:
    """Fit one coefficient >= 0 per column and one constant, with least relative error (all networks count equally)."""
    design = np.column_stack([columns, np.ones(len(columns))]) / measured[:, None]
    kept = list(range(design.shape[1]))
    while True:
        found = np.linalg.lstsq(design[:, kept], np.ones(len(measured)), rcond=None)[0]
        if found.min() >= 0 or len(kept) == 1:
            every = np.zeros(design.shape[1])
            every[kept] = np.maximum(found, 0)
            return [float(v) for v in every]
        kept.pop(int(found.argmin()))
