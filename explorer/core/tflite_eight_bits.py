"""Write a network in eight bits as a `.tflite` file (extra `mcu`: flatbuffers, and the schema that tflite-micro ships).

The file has one operator per step, no custom operator, int8 inputs and outputs, and no names of tensors, which would
take flash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from explorer.core.eight_bits import Constants, EightBits, Scale
from explorer.core.errors import MissingExtra
from explorer.core.steps import IMAGES, Step

VERSIONS = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 12, "ADD": 2, "MUL": 2, "MEAN": 2, "HARD_SWISH": 1,
}  # fmt: skip
KINDS = {
    "conv": "CONV_2D", "depthwise": "DEPTHWISE_CONV_2D", "linear": "FULLY_CONNECTED", "add": "ADD", "scale": "MUL",
    "mean": "MEAN", "hswish": "HARD_SWISH",
}  # fmt: skip
ALIGNED = 16  # bytes; runtimes read constants where they are
ABOUT, PLAN = "pareto-explorer", "OfflineMemoryAllocation"  # names of what stands beside the network


def schema() -> Any:
    """Return the classes of the file's format.

    Raises:
        MissingExtra: tflite-micro is not installed.
    """
    try:
        from tflite_micro.tensorflow.lite.micro.python import schema_py_generated
    except ImportError as error:
        raise MissingExtra("writing a .tflite file needs tflite-micro: pip install 'pareto-explorer[mcu]'") from error
    return schema_py_generated


def tflite_bytes(
    network: EightBits, plan: Mapping[str, int] | None = None, about: Mapping[str, Any] | None = None
) -> bytes:
    """Return the bytes of a `.tflite` file.

    Args:
        network: the network.
        plan: where TFLite-Micro places every tensor, see `devices.memory.offsets`; None leaves it to the interpreter.
        about: what the file says about itself, such as its labels; stored as JSON.

    Raises:
        MissingExtra: tflite-micro or flatbuffers is not installed.
    """
    import flatbuffers

    file = _File(network)
    for step in network.steps:
        file.add(step)
    if plan is not None:
        file.place(plan)
    if about:
        file.note(ABOUT, np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8))
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(file.model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class _File:
    """A file that is being written."""

    def __init__(self, network: EightBits) -> None:
        self.schema = s = schema()
        self.network = network
        self.graph = s.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model = s.ModelT()
        self.model.version, self.model.description = 3, "Pareto Explorer"
        self.model.operatorCodes, self.model.subgraphs, self.model.buffers = [], [self.graph], [_buffer(s, None)]
        self.codes: dict[str, int] = {}
        self.shared: dict[tuple[int, ...], int] = {}  # zero points -> where they are in the file
        self.known = {IMAGES: self._activation((1, network.size, network.size, network.channels), IMAGES, "none")}
        self.axes: int | None = None
        self.graph.inputs, self.graph.outputs = [self.known[IMAGES]], [-1]

    def add(self, step: Step) -> None:
        """Append the operator of a step."""
        s, name = self.schema, KINDS[step.kind]
        inputs = [self.known[source] for source in step.inputs]
        if step.kind in ("conv", "depthwise", "linear"):
            inputs += self._constants(step)
        elif step.kind == "mean":
            if self.axes is None:
                self.axes = self._tensor((2,), s.TensorType.INT32, np.array([1, 2], "<i4"))
            inputs.append(self.axes)
        shape = (1, step.channels) if step.kind == "linear" else (1, step.size, step.size, step.channels)
        self.known[step.name] = self._activation(shape, step.name, step.act)
        operator = s.OperatorT()
        operator.opcodeIndex = self._code(name)
        operator.inputs, operator.outputs = inputs, [self.known[step.name]]
        operator.builtinOptionsType, operator.builtinOptions = self._options(step)
        self.graph.operators.append(operator)
        self.graph.outputs = [self.known[step.name]]

    def place(self, plan: Mapping[str, int]) -> None:
        """Store where the tensors are placed: a version, the graph, and one offset per tensor, -1 for constants."""
        places = np.full(len(self.graph.tensors), -1, "<i4")
        for name, tensor in self.known.items():
            places[tensor] = plan[name]
        self.note(PLAN, np.concatenate([np.array([1, 0, len(places)], "<i4"), places]).view(np.uint8))

    def note(self, name: str, data: np.ndarray) -> None:
        """Store data under a name, beside the network."""
        entry = self.schema.MetadataT()
        entry.name, entry.buffer = name, len(self.model.buffers)
        self.model.buffers.append(_buffer(self.schema, data))
        self.model.metadata = [*(self.model.metadata or []), entry]

    def _constants(self, step: Step) -> list[int]:
        """Add weights and bias of a step; return their tensors."""
        s, own = self.schema, self.network.constants[step.name]
        unit = [self.network.scales[step.inputs[0]].scale * float(scale) for scale in own.scales]
        values, axis = _laid_out(step, own)
        weights = self._tensor(values.shape, s.TensorType.INT8, values, own.scales.tolist(), (0,) * len(unit), axis)
        bias = self._tensor(own.bias.shape, s.TensorType.INT32, own.bias.astype("<i4"), unit, (0,) * len(unit))
        return [weights, bias]

    def _options(self, step: Step) -> tuple[int, Any]:
        s = self.schema
        kind = s.BuiltinOptions
        act = {"none": s.ActivationFunctionType.NONE, "relu": s.ActivationFunctionType.RELU,
               "relu6": s.ActivationFunctionType.RELU6}[step.act]  # fmt: skip
        if step.kind in ("conv", "depthwise"):
            options = s.Conv2DOptionsT() if step.kind == "conv" else s.DepthwiseConv2DOptionsT()
            options.padding, options.strideW, options.strideH = s.Padding.SAME, step.stride, step.stride
            options.dilationWFactor = options.dilationHFactor = 1
            options.fusedActivationFunction = act
            if step.kind == "depthwise":
                options.depthMultiplier = 1
            return (kind.Conv2DOptions if step.kind == "conv" else kind.DepthwiseConv2DOptions), options
        if step.kind == "linear":
            return kind.FullyConnectedOptions, s.FullyConnectedOptionsT()
        if step.kind == "mean":
            options = s.ReducerOptionsT()
            options.keepDims = True
            return kind.ReducerOptions, options
        if step.kind == "hswish":
            return kind.HardSwishOptions, s.HardSwishOptionsT()
        return (kind.AddOptions, s.AddOptionsT()) if step.kind == "add" else (kind.MulOptions, s.MulOptionsT())

    def _code(self, name: str) -> int:
        if name not in self.codes:
            code, number = self.schema.OperatorCodeT(), getattr(self.schema.BuiltinOperator, name)
            code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), VERSIONS[name]
            self.codes[name] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self.codes[name]

    def _activation(self, shape: tuple[int, ...], name: str, act: str) -> int:
        """Add the output of a step; rectified ones have the same zero point, others any (see `devices.memory`)."""
        scale: Scale = self.network.scales[name]
        shared = self.shared if act != "none" else {}
        return self._tensor(shape, self.schema.TensorType.INT8, None, [scale.scale], (scale.zero,), shared=shared)

    def _tensor(
        self, shape: tuple[int, ...], kind: int, values: np.ndarray | None, scales: list[float] | None = None,
        zeros: tuple[int, ...] = (), axis: int = 0, shared: dict[tuple[int, ...], int] | None = None,
    ) -> int:  # fmt: skip
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = list(shape), kind, 0
        if values is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(_buffer(self.schema, np.frombuffer(values.tobytes(), np.uint8)))
        if scales is not None:
            tensor.quantization = _quantization(
                self.schema, scales, zeros, axis, self.shared if shared is None else shared
            )
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1


def _laid_out(step: Step, own: Constants) -> tuple[np.ndarray, int]:
    """Return weights as the file has them, channels last, and the axis of the output channels."""
    if step.kind == "linear":
        return own.weights.reshape(step.channels, step.cin), 0
    more = step.stored_kernel - step.kernel
    weights = np.pad(own.weights, ((0, 0), (0, 0), (0, more), (0, more)))
    if step.kind == "depthwise":
        return np.ascontiguousarray(weights.transpose(1, 2, 3, 0)), 3
    return np.ascontiguousarray(weights.transpose(0, 2, 3, 1)), 0


def _buffer(s: Any, data: np.ndarray | None) -> Any:
    """Return a buffer whose data are aligned, as runtimes need them."""

    class Aligned(s.BufferT):  # type: ignore[misc, name-defined]
        def Pack(self, builder: Any) -> Any:
            at = None
            if data is not None:
                builder.StartVector(1, len(data), ALIGNED)
                builder.head = builder.head - len(data)
                builder.Bytes[builder.head : builder.head + len(data)] = data.tobytes()
                at = builder.EndVector()
            s.BufferStart(builder)
            if at is not None:
                s.BufferAddData(builder, at)
            return s.BufferEnd(builder)

    return Aligned()


def _quantization(s: Any, scales: list[float], zeros: tuple[int, ...], axis: int, shared: dict) -> Any:
    """Return scales and zero points; equal zero points, eight bytes per channel, are in the file once."""

    class Shared(s.QuantizationParametersT):  # type: ignore[misc, name-defined]
        def Pack(self, builder: Any) -> Any:
            if zeros not in shared:
                shared[zeros] = builder.CreateNumpyVector(np.array(zeros, "<i8"))
            scale = builder.CreateNumpyVector(np.array(scales, "<f4"))
            s.QuantizationParametersStart(builder)
            s.QuantizationParametersAddScale(builder, scale)
            s.QuantizationParametersAddZeroPoint(builder, shared[zeros])
            s.QuantizationParametersAddQuantizedDimension(builder, axis)
            return s.QuantizationParametersEnd(builder)

    return Shared()
