"""One way to open an onnxruntime session: quiet, on the CPU, without spinning threads.

Threads that spin between calls make a slider callback fast on an idle machine and everything slow on a busy one.
"""

import os

import onnxruntime as ort


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
