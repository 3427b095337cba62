"""Memory and file size in eight bits: equal to the interpreter's, and a close upper bound of the file."""

import os
import re
import tempfile

import numpy as np
import pytest

from explorer.core.eight_bits import eight_bits
from explorer.core.errors import InputError
from explorer.core.steps import IMAGES, WEIGHTED, Step, steps_of
from explorer.devices import load_device
from explorer.devices.file_size import size_of
from explorer.devices.memory import alive, memory_of, offsets, planned
from explorer.spaces import SPACES

NAMES = ("mobile-tiny", "mobile-32", "mobile-64", "lite-w1.0", "lite-w1.1", "unified-32", "mobilenetv3-w1.0")


def in_eight_bits(layers, seed=0):
    """A network of random weights in eight bits."""
    rng, steps, weights = np.random.default_rng(seed), steps_of(layers), {}
    for step in steps:
        if step.kind in WEIGHTED:
            inner = 1 if step.kind == "depthwise" else step.cin
            shape = (step.channels, inner, *([step.kernel] * 2 if step.kind != "linear" else []))
            weights[step.name] = rng.standard_normal(shape), rng.standard_normal(step.channels)
    ranges = {IMAGES: (-0.5, 0.5)} | {step.name: (-float(rng.random()), 1.0) for step in steps}
    return eight_bits(steps, weights, ranges, layers[0].cin, layers[0].size)


def head_of(file):
    """The head of the arena, as TFLite-Micro records it; it writes to the process's own stderr."""
    runtime = pytest.importorskip("tflite_micro").runtime
    how = {"intrepreter_config": runtime.InterpreterConfig.kAllocationRecording}  # the keyword is spelled so
    interpreter = runtime.Interpreter.from_bytes(file, arena_size=16 << 20, **how)
    with tempfile.TemporaryFile() as said:
        before = os.dup(2)
        os.dup2(said.fileno(), 2)
        interpreter.print_allocations()
        os.dup2(before, 2)
        os.close(before)
        said.seek(0)
        return int(re.search(r"head (\d+) bytes", said.read().decode())[1])


@pytest.mark.parametrize("name", NAMES)
def test_memory_is_what_the_interpreter_takes(name, rng):
    from explorer.core.tflite_eight_bits import tflite_bytes

    pytest.importorskip("tflite_micro")
    space = SPACES[name]
    codes = space.sample(5, rng)
    counted = 1024 * load_device("ram_kb").cost(space, codes)
    for row, bytes_ in zip(codes, counted):
        layers = space.layers(row)
        network = in_eight_bits(layers)
        assert head_of(tflite_bytes(network, offsets(layers))) == bytes_
        assert head_of(tflite_bytes(network)) == planned(network.steps, layers[0].cin * layers[0].size ** 2) >= bytes_


@pytest.mark.parametrize("name", NAMES)
def test_every_chain_has_a_plan_as_small_as_what_is_alive(name, rng):
    """Also at the ends of the space, and where the interpreter's own plan is larger."""
    space, device = SPACES[name], load_device("ram_kb")
    last = [[len(options) - 1 for options in space.decisions.values()]]
    codes = np.concatenate([space.sample(40, rng), space.canonical(np.array([[0] * len(last[0]), *last], np.int8))])
    larger = 0
    for row, kilobytes in zip(codes, device.cost(space, codes)):
        layers = space.layers(row)
        steps, images = steps_of(layers), layers[0].cin * layers[0].size ** 2
        assert offsets(layers) is not None
        assert memory_of(layers) == alive(steps, images) == 1024 * kilobytes
        larger += planned(steps, images) > 1024 * kilobytes
    assert larger


@pytest.mark.parametrize("name", NAMES)
def test_the_size_is_a_close_upper_bound_of_the_file(name, rng):
    from explorer.core.tflite_eight_bits import tflite_bytes

    pytest.importorskip("tflite_micro")
    space = SPACES[name]
    codes = space.sample(5, rng)
    for row, kilobytes in zip(codes, load_device("flash_kb").cost(space, codes)):
        layers = space.layers(row)
        assert size_of(layers) == pytest.approx(1024 * kilobytes)
        plan = offsets(layers)
        about = {"labels": ["a"] * 100}
        file = tflite_bytes(in_eight_bits(layers), plan, about)
        tensors = 1 + len(steps_of(layers)) + 2 * sum(s.kind in WEIGHTED for s in steps_of(layers)) + 1
        size = len(file) - 4 * (3 + tensors) - len(b'{"labels": ["a"' + b', "a"' * 99 + b"]}")
        assert size <= 1024 * kilobytes <= size + max(512, 0.01 * size)


def test_the_largest_tensors_are_placed_first():
    """The images (32 bytes) and "b" lie behind "a" and "c" (64 each)."""
    steps = [
        Step("conv", "a", (IMAGES,), 64, 1, 32), Step("conv", "b", ("a",), 32, 1, 64), Step("conv", "c", ("b",), 64, 1, 32)
    ]  # fmt: skip
    assert alive(steps, 32) == planned(steps, 32) == 96


def test_kinds_and_operators(rng):
    memory, size = load_device("ram_kb"), load_device("flash_kb")
    assert (memory.quantity, size.quantity, memory.unit, size.unit) == ("memory", "size", "kB", "kB")
    assert not memory.additive
    for device in (memory, size):
        with pytest.raises(InputError, match="no form for eight-bit runtimes"):
            device.cost(SPACES["nasbench201"], SPACES["nasbench201"].sample(2, rng))
    layers = SPACES["mobile-32"].layers(SPACES["mobile-32"].sample(1, rng)[0])
    assert memory.shares(layers).max() == 1
