"""Open onnxruntime sessions: without log output, on the CPU, without spinning threads.

Threads that spin between calls make a slider callback fast on an idle machine, but slow everything down on a busy one.
"""

import os

import onnx
import onnxruntime as ort

# operators that predictors and generators consist of: none of them loops or makes large outputs from small inputs
OPERATORS = frozenset(
    ("Add", "Concat", "Conv", "Flatten", "Gather", "Gemm", "MatMul", "Mul", "ReduceSum", "Relu", "Sigmoid", "Split")
) | {"Tanh", "Unsqueeze"}
LARGEST = 10_000  # largest number allowed in an attribute, such as a padding


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(model: bytes | str) -> ort.InferenceSession:
    """Open a session with one thread per available core; on the page, where visitors share the cores, with one."""
    options = ort.SessionOptions()
    threads = 1 if os.environ.get("EXPLORER_PAGE") else cores()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def open_graph(model: bytes) -> ort.InferenceSession:
    """Open a session for an untrusted graph, which may contain only `OPERATORS`.

    Raises:
        ValueError: the graph has another operator, a function, or an attribute that is out of bounds. Other errors of
            onnx and onnxruntime are passed on.
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
    """Return the metadata stored in a serialised ONNX model, without opening a session."""
    return {entry.key: entry.value for entry in onnx.load_from_string(model).metadata_props}
