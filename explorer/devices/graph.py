"""Build ONNX graphs of networks from their layers, to be timed on a device. Needs no torch."""

from collections.abc import Sequence

import onnx
from onnx import TensorProto, helper

from explorer.core.layer import Layer
from explorer.core.onnx_graph import IMAGES, IR_VERSION, OPSET, GraphWriter


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
