"""Networks in eight bits: numbers, steps, and the ONNX graph made of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from explorer.core.eight_bits import HIGH, LOW, TOP, Scale, eight_bits, unit_of
from explorer.core.onnx_eight_bits import onnx_of
from explorer.core.onnx_session import open_session
from explorer.core.steps import IMAGES, WEIGHTED, Step, steps_of
from explorer.spaces import SPACES
from explorer.supernets import build
from explorer.supernets.stepwise import centre, computed, corrected, prepared, ranges_of, weights_of


@given(low=st.floats(-50, 50), high=st.floats(-50, 50))
def test_a_scale_holds_its_range_and_has_zero_exactly(low, high):
    scale = Scale.of(min(low, high), max(low, high))
    assert LOW <= scale.zero <= HIGH
    least, greatest = scale.range
    assert least <= 0 <= greatest
    assert least <= min(low, high, 0) + scale.scale
    assert greatest >= max(low, high, 0) - scale.scale


@pytest.mark.parametrize(("shape", "kind"), [((8, 40, 1, 1), "conv"), ((8, 40), "linear"), ((8, 3, 3, 3), "conv")])
def test_two_neighbours_never_overflow_sixteen_bits(shape, kind, rng):
    """On processors with AVX2 alone: 255 times the weights of two neighbours, added, stays below 2^15."""
    weight = rng.standard_normal(shape) * np.exp(rng.standard_normal((shape[0], *[1] * (len(shape) - 1))))
    unit = unit_of(weight, kind)
    whole = np.round(weight / unit.reshape(-1, *[1] * (len(shape) - 1))).reshape(len(weight), -1)
    for sign in (1, -1):
        one = np.maximum(sign * whole, 0)
        assert 255 * (one[:, 1:] + one[:, :-1]).max() < 2**15
    assert np.abs(whole).max() <= TOP
    depthwise = unit_of(weight.reshape(-1, 1, 1, 1), "depthwise")
    assert np.allclose(depthwise * TOP, np.abs(weight).ravel())


@pytest.mark.parametrize("name", ["mobile-32", "mobile-64", "lite-w1.0", "unified-32", "mobilenetv3-w1.0"])
def test_steps_compute_the_network(name, rng):
    """Squeeze and excitation, hard swish, kernels of several sizes in one block; images of another size."""
    space = SPACES[name].restrict({"r": [96]}) if "r" in SPACES[name].decisions and "lite" in name else SPACES[name]
    space = space.for_images(3, 7, 48) if name == "mobile-64" else space
    for row in space.sample(2, rng):
        layers = space.layers(row)
        mean, std = (0.4, 0.4, 0.4), (0.2, 0.25, 0.3)
        network, x = build(layers, mean, std, 0), torch.rand(8, 3, layers[0].size, layers[0].size)
        with torch.no_grad():
            for _ in range(3):
                network.train()(x)
            expected = network.eval()(x)
            found = dict(
                computed(steps_of(layers), weights_of(layers, network), prepared(x, network.preprocess, x.shape[-1]))
            )
        logits = found[steps_of(layers)[-1].name]
        assert (logits - expected).abs().max() < 1e-3 * expected.abs().max()
        assert {layer.name for layer in layers} <= found.keys()


def test_the_graph_computes_the_integers(rng):
    """The rounded network as onnxruntime computes it is the network as numpy does, step by step, to one unit."""
    space = SPACES["mobile-tiny"]
    for row in space.sample(3, rng):
        layers = space.layers(row)
        network, x = build(layers, (0.5,), (0.25,), 0), torch.rand(40, 1, 8, 8)
        with torch.no_grad():
            network.train()(x)
        network.eval()
        steps, weights = steps_of(layers), weights_of(layers, network)
        bits = eight_bits(steps, weights, ranges_of(layers, network, x)["mse"], 1, 8)
        logits = open_session(onnx_of(bits, 8, centre(network.preprocess)).SerializeToString()).run(
            None, {"images": x.numpy()}
        )[0]
        rounded = {
            n: (c.weights * c.scales.reshape(-1, *[1] * (c.weights.ndim - 1)), c.bias)
            for n, c in bits.constants.items()
        }
        values = {IMAGES: _round(prepared(x, network.preprocess, 8), bits.scales[IMAGES])}
        for step in steps:
            own = {}
            if step.kind in WEIGHTED:
                unit = bits.scales[step.inputs[0]].scale * bits.constants[step.name].scales
                # the step divides and shifts again
                own = {step.name: (rounded[step.name][0] * step.divided, rounded[step.name][1] * unit - step.shift)}
            given = {source: values[source] for source in step.inputs}
            y = _one(step, own, given)
            values[step.name] = _round(y, bits.scales[step.name])
        expected = values[steps[-1].name].numpy()
        assert np.abs(logits - expected).max() <= 2.01 * bits.scales[steps[-1].name].scale
        assert (logits.argmax(1) == expected.argmax(1)).mean() > 0.9


def test_what_a_hard_swish_ignores_takes_no_part_of_the_range():
    steps = [
        Step("conv", "a", (IMAGES,), 1, 1, 1),
        Step("hswish", "b", ("a",), 1, 1, 1),
        Step("linear", "c", ("b",), 2, 1, 1),
    ]
    ranges = {IMAGES: (0, 1), "a": (-40.0, 5.0), "b": (-0.4, 5.0), "c": (-40.0, 5.0)}
    weights = {"a": (np.ones((1, 1, 1, 1)), np.zeros(1)), "c": (np.ones((2, 1)), np.zeros(2))}
    scales = eight_bits(steps, weights, ranges, 1, 1).scales
    assert scales["a"].range[0] == pytest.approx(-3, abs=0.1)
    assert scales["c"].range[0] == pytest.approx(-40, abs=0.5)


def test_a_channel_without_weights_keeps_its_bias():
    """Pretrained networks have such channels; in the unit of their tiny weights the bias did not fit into 32 bits."""
    steps = [Step("conv", "a", (IMAGES,), 2, 1, 1), Step("linear", "b", ("a",), 2, 1, 2)]
    weights = {
        "a": (np.array([1e-12, 0.5]).reshape(2, 1, 1, 1), np.array([0.7, -0.1])),
        "b": (np.eye(2), np.array([0.0, 2.0])),
    }
    bits = eight_bits(steps, weights, {n: (-1.0, 3.0) for n in (IMAGES, "a", "b")}, 1, 1)
    image = np.full((1, 1, 1, 1), 0.5, np.float32)
    logits = open_session(onnx_of(bits, 1, 0.5).SerializeToString()).run(None, {"images": image})[0]
    assert logits[0] == pytest.approx([0.7, 1.9], abs=0.02)
    [again] = corrected([bits], weights, torch.zeros(4, 1, 1, 1))
    assert np.abs(again.constants["a"].bias.astype(float)).max() < 2**30 * 1.01


def test_biases_take_up_what_rounding_shifts(rng):
    """After the correction no channel of the logits is off on average."""
    space = SPACES["mobile-tiny"]
    layers = space.layers(space.sample(1, rng)[0])
    network, x = build(layers, (0.5,), (0.25,), 0), torch.rand(64, 1, 8, 8)
    with torch.no_grad():
        network.train()(x)
    network.eval()
    steps, weights = steps_of(layers), weights_of(layers, network)
    ready = prepared(x, network.preprocess, 8)
    *_, (_, exact) = computed(steps, weights, ready)
    bits = eight_bits(steps, weights, ranges_of(layers, network, x)["minmax"], 1, 8)
    off = []
    for one in (bits, *corrected([bits], weights, ready)):
        session = open_session(onnx_of(one, 8, centre(network.preprocess)).SerializeToString())
        off.append(np.abs(session.run(None, {"images": x.numpy()})[0].mean(0) - exact.detach().numpy().mean(0)).max())
    assert off[1] < 0.5 * off[0]
    assert off[1] < bits.scales[steps[-1].name].scale


def _one(step, weights, given):
    """One step on given tensors."""
    from dataclasses import replace

    names = dict(zip(step.inputs, (IMAGES, "b")))
    if len(step.inputs) == 2:
        a, b = (given[source] for source in step.inputs)
        return a + b if step.kind == "add" else a * b
    *_, (_, y) = computed([replace(step, inputs=(names[step.inputs[0]],))], weights, given[step.inputs[0]])
    return y


def _round(x, scale):
    whole = (x / scale.scale).round() + scale.zero
    return scale.scale * (whole.clamp(LOW, HIGH) - scale.zero)
