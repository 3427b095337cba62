"""Conformance checks for anybody's objects: the same that this package runs over its own.

    from explorer.testing import check_device
    check_device(MyDevice(), space)

Each check raises `AssertionError` with one line on the first thing that is wrong, and returns None.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.layer import Layer
from explorer.core.protocols import Device, Evaluator, Generator, SearchSpace
from explorer.devices.population import costs_of, overshoot


def check_space(space: SearchSpace, n: int = 64, seed: int = 0) -> None:
    """Names, shapes, canonical form, keys, and layers that fit together."""
    rng = np.random.default_rng(seed)
    d = len(space.decisions)
    assert isinstance(space.name, str) and space.name, "a space needs a name"
    assert d > 0 and all(len(options) >= 1 for options in space.decisions.values()), "every decision needs an option"
    codes = space.sample(n, rng)
    assert codes.shape == (n, d) and codes.dtype == np.int8, f"sample(n) gives {codes.dtype} {codes.shape}"
    again = space.sample(n, np.random.default_rng(seed))
    assert (again == codes).all(), "sample() is not a function of its generator"
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


def _check_layers(layers: Sequence[Layer]) -> None:
    names = [layer.name for layer in layers]
    assert names and len(set(names)) == len(names), "layers need distinct names"
    known: dict[str, Layer] = {}
    for layer in layers:
        assert layer.cin > 0 and layer.cout > 0 and layer.size > 0, f"layer {layer.name} has an empty shape"
        for source in layer.inputs:
            assert source in known, f"layer {layer.name} reads {source}, which does not come before it"
            before = known[source]
            channels = layer.op == "concat" or before.cout == layer.cin
            fits = channels and (before.size_out == layer.size or layer.op == "linear")
            assert fits, f"layer {layer.name} does not fit behind {source}"
        if layer.op == "concat":
            assert sum(known[name].cout for name in layer.inputs) == layer.cin, f"{layer.name} does not add up"
        known[layer.name] = layer


def check_device(device: Device, space: SearchSpace, n: int = 64, seed: int = 0) -> None:
    """Finite positive costs, one per architecture, that depend on nothing else."""
    codes = space.sample(n, np.random.default_rng(seed))
    costs = device.cost(space, codes)
    assert isinstance(device.name, str) and device.name and isinstance(device.unit, str), "a device needs name and unit"
    assert costs.shape == (n,), f"cost() of {n} architectures has shape {costs.shape}"
    assert np.isfinite(costs).all() and (costs > 0).all(), "costs must be finite and above 0"
    order = np.random.default_rng(1).permutation(n)
    shuffled = device.cost(space, codes[order])
    assert np.allclose(shuffled, costs[order], rtol=1e-9), "a cost depends on the rest of the population"


def check_evaluator(evaluator: Evaluator, space: SearchSpace, n: int = 16, seed: int = 0) -> None:
    """Accuracies in [0, 1], one per architecture, the same when asked again."""
    codes = space.sample(n, np.random.default_rng(seed))
    accuracy = evaluator.evaluate(codes)
    assert accuracy.shape == (n,), f"evaluate() of {n} architectures has shape {accuracy.shape}"
    assert ((accuracy >= 0) & (accuracy <= 1)).all(), "accuracies must lie in [0, 1]"
    assert np.allclose(evaluator.evaluate(codes), accuracy), "evaluate() gives another answer when asked again"
    assert evaluator.evaluate(codes[:0]).shape == (0,), "evaluate() of no architecture must be empty"


def check_generator(
    generator: Generator, space: SearchSpace, devices: Sequence[Device], n: int = 32, seed: int = 0
) -> None:
    """Reachable budgets are met, unreachable ones answered, free requests too; all in one pass."""
    rng = np.random.default_rng(seed)
    known = costs_of(space, devices, space.sample(n, rng))
    limits = np.where(rng.random(known.shape) < 0.5, known * 1.05, np.nan)
    codes = generator.generate(limits, np.random.default_rng(seed))
    assert codes.shape == (n, len(space.decisions)), f"generate() of {n} budgets has shape {codes.shape}"
    assert (space.canonical(codes) == codes).all(), "generate() gives architectures that are not canonical"
    over = overshoot(costs_of(space, devices, codes), limits)
    assert (over <= 1).all(), f"{(over > 1).sum()} of {n} reachable budgets are exceeded"
    assert len(generator.generate(limits[:0], rng)) == 0, "generate() of no budget must be empty"
    impossible = np.full((1, len(devices)), 1e-9)
    assert len(generator.generate(impossible, rng)) == 1, "an impossible budget must give the nearest network"
    raw = generator.generate(limits, np.random.default_rng(seed), 1)
    assert (generator.generate(limits, np.random.default_rng(seed + 1), 1) == raw).all(), "samples=1 is not one pass"


__all__ = ["check_device", "check_evaluator", "check_generator", "check_space"]
