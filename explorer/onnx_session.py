"""One way to open an onnxruntime session: quiet, on the CPU, without spinning threads.

Threads that spin between calls make a slider callback fast on an idle machine and everything slow on a busy one.
"""

import os

import onnxruntime as ort

from explorer.errors import InputError


def open_session(model: bytes | str, threads: int | None = None) -> ort.InferenceSession:
    """A session with a fixed number of threads; as many as cores unless given.

    Raises:
        InputError: more threads than cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads is not None and not 1 <= threads <= cores:
        raise InputError(f"threads = {threads!r}; choose from 1 to {cores}")
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads or cores, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
