"""The process that visitors' kernels are copies of: it has imported everything and opened the study, and forks.

A kernel that starts from nothing imports for seconds and holds a quarter of a gigabyte, nearly all of it the same for
every visitor. A fork has it at once, and the system keeps one copy of what nobody changes. A fork has only the thread
that made it, so nothing here may start one: sessions of onnxruntime use one thread on the page, and `main` ends where
there are others, so that kernels start in the usual way.

Started as `python -m explorer.page.nursery FD MODULE:FUNCTION` by `explorer.page.provisioner`, which asks through the
socket FD; the function is called before the first fork. One request a line, {"arguments": [...], "env": {...},
"cwd": ...}, and one answer a line: a process number.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def main(descriptor: int, ahead: str) -> None:
    """Get ready, then fork a kernel for every request until the server ends."""
    asked = socket.socket(fileno=descriptor)
    warm(ahead)
    gc.collect()
    gc.freeze()  # so that no collection touches, and so copies, what is shared
    if threads() > 1:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # ended kernels leave the table of processes by themselves
    with asked.makefile("rw", encoding="utf-8") as lines:
        for line in lines:
            request = json.loads(line)
            child = os.fork()
            if child == 0:
                asked.close()
                become_kernel(request)
            print(child, file=lines, flush=True)


def warm(ahead: str) -> None:
    """Call a function, "module:name", which does what all kernels would do, and import what they need."""
    module, _, name = ahead.partition(":")
    getattr(import_module(module), name)()
    import anywidget  # noqa: F401  # the rest is imported only to be shared
    import ipykernel.ipkernel
    import ipykernel.kernelapp  # noqa: F401


def threads() -> int:
    """Number of threads of this process."""
    return len(list(Path("/proc/self/task").iterdir()))


def become_kernel(request: dict[str, Any]) -> None:
    """Turn this new process into the kernel of a notebook; does not return."""
    import ipywidgets
    from ipykernel.kernelapp import IPKernelApp

    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(request["cwd"])
    sys.argv = ["ipykernel_launcher", *request["arguments"]]
    app = IPKernelApp.instance(parent_handle=os.getppid())
    app.initialize(request["arguments"])
    ipywidgets.register_comm_target()  # what importing it inside a kernel would have done
    app.start()
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
