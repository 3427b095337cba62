"""One way to open an onnxruntime session: quiet, on the CPU, without spinning threads.

Threads that spin between calls make a slider callback fast on an idle machine and everything slow on a busy one.
"""

import os

import onnx
import onnxruntime as ort

# what predictors and generators are made of: nothing that loops, or makes large things of small ones
OPERATORS = frozenset(
    ("Add", "Concat", "Conv", "Flatten", "Gather", "Gemm", "MatMul", "Mul", "Relu", "Sigmoid", "Split", "Tanh")
) | {"Unsqueeze"}
LARGEST = 10_000  # number in an attribute, such as a padding


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(model: bytes | str) -> ort.InferenceSession:
    """A session with as many threads as there are cores."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = cores(), 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def open_graph(model: bytes) -> ort.InferenceSession:
    """A session of a graph from outside, of `OPERATORS` alone.

    Raises:
        ValueError: another operator, a function, or an attribute that is out of all bounds. Whatever else onnx and
            onnxruntime raise is theirs.
    """
    graph = onnx.load_from_string(model)
    foreign = {node.op_type for node in graph.graph.node} - OPERATORS
    if foreign or graph.functions or any(node.domain for node in graph.graph.node):
        raise ValueError(f"operators {sorted(foreign)} are not among {sorted(OPERATORS)}")
    for node in graph.graph.node:
        for attribute in node.attribute:
            if any(abs(n) > LARGEST for n in (attribute.i, *attribute.ints)):
                raise ValueError(f"attribute {attribute.name} of a {node.op_type} is out of bounds")
    return open_session(model)


def metadata_of(model: bytes) -> dict[str, str]:
    """What a graph says of itself, without opening it."""
    return {entry.key: entry.value for entry in onnx.load_from_string(model).metadata_props}
