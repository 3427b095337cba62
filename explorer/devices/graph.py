"""Build ONNX graphs of networks from their layers, with random weights, to be timed on a device. Needs no torch."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from explorer.core.eight_bits import EightBits, eight_bits
from explorer.core.layer import Layer
from explorer.core.onnx_eight_bits import onnx_of, piece_of
from explorer.core.onnx_graph import IMAGES, IR_VERSION, OPSET, GraphWriter
from explorer.core.steps import WEIGHTED, Step, steps_of
from explorer.core.work import IMAGE
from explorer.devices.quantities import INT8

RANGE = (-3.0, 3.0)  # of activations, where it does not matter which


def graph_to_time(layers: Sequence[Layer], precision: str) -> onnx.ModelProto:
    """Return the graph of a network (or of one layer) in a precision, for one image; see `network_graph`.

    In eight bits, a layer from the middle of a network reads and writes integers, as it does inside.

    Raises:
        InputError: a layer has no form in eight bits.
    """
    if precision != INT8:
        return network_graph(layers)
    network = with_random_weights(steps_of(alone(layers)), layers[0].cin, layers[0].size)
    whole = layers[0].cin <= IMAGE or layers[-1].flat  # it reads images, or gives logits
    return onnx_of(network, network.size, 0.5) if whole else piece_of(network)


def network_graph(layers: Sequence[Layer], batch: int = 1) -> onnx.ModelProto:
    """Build the graph of a network (or of one layer) with random weights; input `images`, output `out`."""
    writer = GraphWriter()
    outputs: dict[str, str] = {}
    for i, layer in enumerate(layers):
        sources = [outputs[name] for name in layer.inputs] if i and layer.inputs else layer.sources_alone(writer)
        outputs[layer.name] = layer.write(writer, sources)
    first, last = layers[0], layers[-1]
    writer.nodes[-1].output[0] = "out"
    shape = [batch, first.cin, first.size, first.size]
    out_shape = [batch, last.cout] if last.flat else [batch, last.cout, last.size_out, last.size_out]
    graph = helper.make_graph(
        writer.nodes, "network",
        [helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, out_shape)],
        writer.weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def alone(layers: Sequence[Layer]) -> Sequence[Layer]:
    """Return a network as it is, and a single layer as one that reads the image."""
    return layers if len(layers) > 1 else [replace(layers[0], name=layers[0].name or layers[0].op, inputs=())]


def with_random_weights(steps: Sequence[Step], channels: int, size: int) -> EightBits:
    """Return a network in eight bits with random weights and any ranges; it costs what a trained one costs."""
    rng = np.random.default_rng(0)
    weights = {}
    for step in steps:
        if step.kind in WEIGHTED:
            inputs = 1 if step.kind == "depthwise" else step.cin
            shape = (step.channels, inputs, *[step.kernel] * (2 * (step.kind != "linear")))
            weights[step.name] = rng.standard_normal(shape), rng.standard_normal(step.channels)
    ranges = {name: RANGE for name in (IMAGES, *(step.name for step in steps))}
    return eight_bits(steps, weights, ranges, channels, size)
