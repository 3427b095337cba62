"""Starts visitors' kernels as forks of one process; see `explorer.page.nursery`. A kernel provisioner of Jupyter.

Jupyter finds it by its name in `JUPYTER_DEFAULT_PROVISIONER_NAME`, which `page_environment` sets for the page.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import LocalProvisioner

LAUNCHER = "ipykernel_launcher"
AHEAD = "explorer.widgets.dashboard:open_ahead"  # what the page's notebook would do in every kernel


class Forked:
    """A kernel's process with the methods of `subprocess.Popen` that Jupyter uses.

    It is no child of this process, so its exit code is not known; it is reported as 0.
    """

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid = pid
        try:
            self._descriptor: int | None = os.pidfd_open(pid)
        except OSError:  # it has ended already
            self._descriptor = None

    def poll(self) -> int | None:
        """None while the process runs, else 0."""
        if self._descriptor is None:
            return 0
        if not select.select([self._descriptor], [], [], 0)[0]:
            return None
        os.close(self._descriptor)
        self._descriptor = None
        return 0

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended."""
        if self._descriptor is not None:
            select.select([self._descriptor], [], [], timeout)
        return self.poll() or 0

    def send_signal(self, number: int) -> None:
        """Send a signal; nothing happens if the process has ended."""
        if self._descriptor is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process."""
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The connection to the process that forks; it is started with the first kernel, and ends with this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: Any = None

    def fork(self, request: dict[str, Any]) -> int | None:
        """Ask for a kernel: its process number, or None where none can be forked."""
        with self._lock:
            try:
                if self._lines is None:
                    self._lines = self._start(request)
                print(json.dumps(request), file=self._lines, flush=True)
                return int(self._lines.readline())
            except (OSError, ValueError):  # it has ended, or never got ready: kernels start in the usual way
                self._lines = None
                return None

    def _start(self, request: dict[str, Any]) -> Any:
        ours, theirs = socket.socketpair()
        one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "explorer.page.nursery", str(theirs.fileno()), AHEAD]
        subprocess.Popen(
            command, env=request["env"] | one, cwd=request["cwd"], stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()]
        )
        theirs.close()
        lines = ours.makefile("rw", encoding="utf-8")
        ours.close()  # the file keeps it open
        return lines


NURSERY = Nursery()


class ForkedKernels(LocalProvisioner):
    """Jupyter's own provisioner, except that the process is forked where that is possible."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start a kernel."""
        if LAUNCHER not in cmd or not hasattr(os, "pidfd_open"):
            return await super().launch_kernel(cmd, **kwargs)
        request = {
            "arguments": cmd[cmd.index(LAUNCHER) + 1 :],
            "env": dict(kwargs.get("env") or os.environ),
            "cwd": str(kwargs.get("cwd") or os.getcwd()),
        }
        pid = await asyncio.to_thread(NURSERY.fork, request)
        if pid is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process: Any = Forked(pid)
        self.pid = self.pgid = pid  # it leads a session of its own
        self.cwd = request["cwd"]
        return self.connection_info
