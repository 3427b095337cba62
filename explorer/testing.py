"""Conformance checks for user-defined objects; this package runs the same checks on its own.

    from explorer.testing import check_device
    check_device(MyDevice(), space)

Each check raises `AssertionError` with one line about the first problem, and returns None where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.protocols import Device, Evaluator, Generator, SearchSpace
from explorer.devices.population import costs_of, overshoot, priced
from explorer.spaces import Compilable, Enumerable, OnceForAll, Space
from explorer.spaces.operators import TellsActive


def check_space(space: SearchSpace, n: int = 64, seed: int = 0) -> None:
    """Check names, shapes, canonical form, keys, shapes of layers, and every optional ability of a space.

    Args:
        space: any search space; members beyond the protocol are checked where the space has them.
        n: number of architectures to check.
        seed: seed of the random draws.
    """
    rng = np.random.default_rng(seed)
    d = len(space.decisions)
    assert isinstance(space.name, str) and space.name, "a space needs a name"
    assert d > 0 and all(len(options) >= 1 for options in space.decisions.values()), "every decision needs an option"
    codes = space.sample(n, rng)
    assert codes.shape == (n, d) and codes.dtype == np.int8, f"sample(n) gives {codes.dtype} {codes.shape}"
    again = space.sample(n, np.random.default_rng(seed))
    assert (again == codes).all(), "sample() gives different results for the same random seed"
    assert (space.canonical(codes) == codes).all(), "sample() gives architectures that are not canonical"
    counts = np.array([len(options) for options in space.decisions.values()])
    raw = rng.integers(0, counts, (n, d)).astype(np.int8)
    kept = raw.copy()
    canonical = space.canonical(raw)
    assert (raw == kept).all(), "canonical() changes its argument"
    assert (space.canonical(canonical) == canonical).all(), "canonical() is not idempotent"
    for row, same in zip(raw[:8], canonical[:8]):
        a = Architecture(space, row)
        assert Architecture.from_key(space, a.key) == a, f"key {a.key} does not read back"
        layers = space.layers(same)
        assert tuple(space.layers(a)) == tuple(layers), "layers() depends on inactive genes"
        _check_layers(layers)
    if isinstance(space, TellsActive):
        _check_active(space, canonical, counts)
    if isinstance(space, Space):
        _check_members(space, counts)
    if isinstance(space, Compilable):
        _check_parts(space, canonical[:8])
    if isinstance(space, Enumerable) and space.size <= 20_000:
        _check_enumerated(space, canonical)
    if isinstance(space, OnceForAll):
        for row in canonical[:4]:
            a = Architecture(space, row)
            assert space.from_ofa(space.to_ofa(a)) == a, "once-for-all's notation does not read back"


def _check_active(space: TellsActive, codes: np.ndarray, counts: np.ndarray) -> None:
    """Check that genes which `active` marks as inactive may have any value."""
    assert isinstance(space, SearchSpace)
    on = np.asarray(space.active(codes))
    assert on.shape == codes.shape, f"active() of {codes.shape} has shape {on.shape}"
    assert on.dtype == bool, f"active() gives {on.dtype}, not bool"
    other = np.where(on, codes, (codes + 1) % counts).astype(np.int8)
    assert (space.canonical(other) == space.canonical(codes)).all(), "a gene that active() calls inactive matters"


def _check_members(space: Space, counts: np.ndarray) -> None:
    """Check the members of a registered space that studies use."""
    assert [r.name for r in space.records] == list(space.decisions), "records do not name the decisions in order"
    assert [len(r.options) for r in space.records] == counts.tolist(), "records have other options than decisions"
    assert len({(r.kind, r.place, r.part, r.name if not r.place else "") for r in space.records}) == len(counts), (
        "two records have the same kind, place and part"
    )
    assert 0 < space.size <= math.prod(map(int, counts)), f"size {space.size} is not that of its decisions"
    assert space.resolutions and min(space.resolutions) > 0, "resolutions must name a size of image"
    assert set(space.encoded) <= set(range(len(counts))) and len(space.encoded), "encoded must list genes"
    assert space.channels > 0 and space.classes > 0, "a space needs channels and classes of its images"
    size = max(space.resolutions)
    same = space.for_images(space.channels, space.classes, size)
    assert list(same.decisions) == list(space.decisions), "for_images() changes the decisions"
    assert hash(same) == hash(space.for_images(space.channels, space.classes, size)), "a space must be hashable"
    layers = space.layers([0] * len(counts))
    assert (layers[0].cin, layers[-1].cout) == (space.channels, space.classes), "layers() ignores channels or classes"
    narrow = {name: list(options)[:1] for name, options in list(space.decisions.items())[:1]}
    try:
        restricted = space.restrict(narrow)
    except InputError:
        return  # narrowing is optional
    assert len(next(iter(restricted.decisions.values()))) == 1, "restrict() keeps options that were not requested"
    assert dict(restricted.limits), "limits must list the narrowed decisions"


def _check_parts(space: Compilable, codes: np.ndarray) -> None:
    """Check that the layers of all parts together are those of the network."""
    parts = space.parts()
    for row in codes:
        found = [x for part in parts for x in part.layers(tuple(int(row[gene]) for gene in part.genes))]
        wanted = sorted(layer.signature for layer in space.layers(row))
        assert sorted(layer.signature for layer in found) == wanted, "parts() and layers() describe different layers"


def _check_enumerated(space: Enumerable, codes: np.ndarray) -> None:
    every = space.enumerate()
    assert len(every) == len(np.unique(every, axis=0)) == space.size, (
        "enumerate() does not return exactly size distinct architectures"
    )
    assert (space.canonical(every) == every).all(), "enumerate() gives architectures that are not canonical"
    listed = {row.tobytes() for row in every}
    assert all(row.tobytes() in listed for row in codes), "enumerate() leaves an architecture out"


def _check_layers(layers: Sequence[Layer]) -> None:
    names = [layer.name for layer in layers]
    assert names and len(set(names)) == len(names), "layers need distinct names"
    known: dict[str, Layer] = {}
    for layer in layers:
        assert layer.cin > 0 and layer.cout > 0 and layer.size > 0, f"layer {layer.name} has an empty shape"
        for source in layer.inputs:
            assert source in known, f"layer {layer.name} reads {source}, which does not come before it"
        why = layer.misfit([known[source] for source in layer.inputs])
        assert not why, f"layer {layer.name} does not fit behind {list(layer.inputs)}: {why}"
        known[layer.name] = layer


def check_device(device: Device, space: SearchSpace, n: int = 64, seed: int = 0) -> None:
    """Check that costs are finite and positive, one per architecture, and independent of the other architectures.

    Architectures that the device has no price for are left out, see `explorer.devices.NoPrice`.
    """
    codes = priced(space, [device], space.sample(n, np.random.default_rng(seed)))
    n, costs = len(codes), device.cost(space, codes)
    assert isinstance(device.name, str) and device.name and isinstance(device.unit, str), "a device needs name and unit"
    assert costs.shape == (n,), f"cost() of {n} architectures has shape {costs.shape}"
    assert np.isfinite(costs).all() and (costs > 0).all(), "costs must be finite and above 0"
    order = np.random.default_rng(1).permutation(n)
    shuffled = device.cost(space, codes[order])
    assert np.allclose(shuffled, costs[order], rtol=1e-9), "a cost depends on the rest of the population"


def check_evaluator(evaluator: Evaluator, space: SearchSpace, n: int = 16, seed: int = 0) -> None:
    """Check that accuracies are in [0, 1], one per architecture, and the same when evaluated again."""
    codes = space.sample(n, np.random.default_rng(seed))
    accuracy = evaluator.evaluate(codes)
    assert accuracy.shape == (n,), f"evaluate() of {n} architectures has shape {accuracy.shape}"
    assert ((accuracy >= 0) & (accuracy <= 1)).all(), "accuracies must lie in [0, 1]"
    assert np.allclose(evaluator.evaluate(codes), accuracy), (
        "evaluate() is not reproducible: a second call gives other values"
    )
    assert evaluator.evaluate(codes[:0]).shape == (0,), "evaluate() of no architecture must be empty"


def check_generator(
    generator: Generator, space: SearchSpace, devices: Sequence[Device], n: int = 32, seed: int = 0
) -> None:
    """Check one-pass generation: reachable budgets are met; unreachable and empty requests are answered.

    A budget has the same network alone and among others, in any order.
    """
    rng = np.random.default_rng(seed)
    known = costs_of(space, devices, np.resize(priced(space, devices, space.sample(n, rng)), (n, len(space.decisions))))
    limits = np.where(rng.random(known.shape) < 0.5, known * 1.05, np.nan)
    codes = generator.generate(limits)
    assert codes.shape == (n, len(space.decisions)), f"generate() of {n} budgets has shape {codes.shape}"
    assert (space.canonical(codes) == codes).all(), "generate() gives architectures that are not canonical"
    over = overshoot(costs_of(space, devices, codes), limits)
    assert (over <= 1).all(), f"{(over > 1).sum()} of {n} reachable budgets are exceeded"
    alone = np.concatenate([generator.generate(row[None]) for row in limits[:3]])
    assert (alone == codes[:3]).all(), "generate() gives other networks for budgets alone than among others"
    assert (generator.generate(limits[::-1]) == codes[::-1]).all(), "generate() depends on the order of the budgets"
    assert len(generator.generate(limits[:0])) == 0, "generate() of no budget must be empty"
    impossible = np.full((1, len(devices)), 1e-9)
    assert len(generator.generate(impossible)) == 1, "an impossible budget must give the nearest network"
    raw = generator.generate(limits, samples=1)
    assert raw.shape == codes.shape, f"generate(samples=1) of {n} budgets has shape {raw.shape}"
    assert (generator.generate(limits, samples=1) == raw).all(), "generate(samples=1) is not the same twice"


__all__ = ["check_device", "check_evaluator", "check_generator", "check_space"]
