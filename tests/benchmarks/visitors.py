"""Many visitors at once: how long a move of a slider takes, and how much memory a visitor needs.

    python -m tests.benchmarks.visitors docs/visitors.json [--visitors 20 --visitors 50] [--seconds 120] [--study NAME]

Visitors are clients on the websocket, without browsers, which would need the processor themselves: each opens the page,
asks its kernel for the widgets as a browser does, and then moves the first slider once a second. A move is answered
when the kernel has sent the chart's change and says that it is idle. Memory is the proportional set size of all
kernels, and of the process that they are forks of, over the number of visitors.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psutil
from jupyter_server.services.kernels.connection.base import deserialize_msg_from_ws_v1, serialize_msg_to_ws_v1
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

from explorer.bench.browser import voila

PROTOCOL = "v1.kernel.websocket.jupyter.org"
WAIT = 30.0  # seconds after which a move counts as unanswered


class Visitor:
    """One page that is open: a kernel and a websocket to it.

    Args:
        address: of the page.
    """

    def __init__(self, address: str) -> None:
        self.address, self.waits, self.unanswered = address, list[float](), 0
        self._socket: Any = None
        self._slider, self._chart, self._ends = "", "", (0.0, 0.0)

    async def open(self) -> float:
        """Open the page; seconds until its widgets are known."""
        start = time.perf_counter()
        answer = await AsyncHTTPClient().fetch(self.address, request_timeout=300)
        found = re.search(r'"kernelId": *"([^"]+)"', answer.body.decode())
        assert found, "the page names no kernel"
        where = f"{self.address.replace('http', 'ws', 1)}api/kernels/{found[1]}/channels?session_id={uuid4().hex}"
        self._socket = await websocket_connect(where, max_message_size=1 << 28, subprotocols=[PROTOCOL])
        comm = uuid4().hex
        await self._send("comm_open", {"comm_id": comm, "target_name": "jupyter.widget.control", "data": {}})
        asked = await self._send("comm_msg", {"comm_id": comm, "data": {"method": "request_states"}})
        states: dict[str, Any] = {}
        async for message in self._until_idle(asked):
            states |= message.get("data", {}).get("states", {})
        for name, model in states.items():
            state = model["state"]
            if model["model_name"] == "FloatLogSliderModel" and not self._slider:
                self._slider, self._ends = name, (state["min"], state["max"])
            if "_widget_data" in state or "_data" in state:
                self._chart = self._chart or name
        assert self._slider, f"no slider among {len(states)} widgets"
        return time.perf_counter() - start

    async def stay(self, seconds: float) -> None:
        """Move the slider once a second."""
        rng, end = random.Random(id(self)), time.perf_counter() + seconds
        await asyncio.sleep(rng.random())
        while time.perf_counter() < end:
            start = time.perf_counter()
            value = 10 ** rng.uniform(*self._ends)
            try:
                await asyncio.wait_for(self._move(value), WAIT)
                self.waits.append(time.perf_counter() - start)
            except TimeoutError:
                self.unanswered += 1
            await asyncio.sleep(max(0.0, 1 - (time.perf_counter() - start)))

    async def _move(self, value: float) -> None:
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        asked = await self._send("comm_msg", {"comm_id": self._slider, "data": data})
        async for _ in self._until_idle(asked):
            pass

    async def _send(self, kind: str, content: dict[str, Any]) -> str:
        """Send a message on the shell channel; returns its number."""
        header = {"msg_id": uuid4().hex, "msg_type": kind, "username": "", "session": uuid4().hex, "version": "5.3"}
        parts = {"header": header, "parent_header": {}, "metadata": {"version": "1.0.0"}, "content": content}
        message = serialize_msg_to_ws_v1(parts, "shell", pack=lambda part: json.dumps(part).encode())
        await self._socket.write_message(message, binary=True)
        return str(header["msg_id"])

    async def _until_idle(self, asked: str) -> Any:
        """Messages that answer a request, until the kernel is idle again."""
        while True:
            received = await self._socket.read_message()
            if received is None:
                raise ConnectionError("the server closed the connection")
            header, parent, _, content, *_ = deserialize_msg_from_ws_v1(received)[1]
            if json.loads(parent).get("msg_id") != asked:
                continue
            found = json.loads(content)
            yield found
            if json.loads(header)["msg_type"] == "status" and found["execution_state"] == "idle":
                return

    def close(self) -> None:
        """Leave the page."""
        socket: WebSocketClientConnection = self._socket
        socket.close()


def memory(parent: psutil.Process) -> tuple[int, float, float]:
    """Kernels, MB of all of them with what they share, and MB of the server: proportional set sizes."""
    kernels, shared, server = 0, 0.0, 0.0
    for process in parent.children(recursive=True):
        words = " ".join(process.cmdline())
        size = process.memory_full_info().pss / 1e6
        if "explorer.page.nursery" in words or "ipykernel_launcher" in words:
            kernels, shared = kernels + 1, shared + size
        elif "explorer.page.server" in words:
            server += size
    return kernels - 1, shared, server


async def visit(address: str, number: int, seconds: float) -> dict[str, Any]:
    """Let visitors come, two at a time, move sliders, and leave."""
    visitors, coming = [Visitor(address) for _ in range(number)], asyncio.Semaphore(2)

    async def come(visitor: Visitor) -> float:
        async with coming:
            return await visitor.open()

    opened = await asyncio.gather(*(come(visitor) for visitor in visitors))
    psutil.cpu_percent()
    await asyncio.gather(*(visitor.stay(seconds) for visitor in visitors))
    busy = psutil.cpu_percent()
    kernels, shared, server = memory(psutil.Process())
    waits = 1e3 * np.array([wait for visitor in visitors for wait in visitor.waits])
    for visitor in visitors:
        visitor.close()
    return {
        "visitors": number, "moves": len(waits), "unanswered": sum(v.unanswered for v in visitors),
        "median_ms": float(np.median(waits)), "p95_ms": float(np.percentile(waits, 95)),
        "opened_s": float(np.median(opened)), "kernels": kernels, "mb_a_visitor": shared / number, "mb_server": server,
        "busy_percent": busy,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--visitors", type=int, action="append")
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--study", default="fashion-mnist")
    asked = parser.parse_args()
    found = []
    for number in asked.visitors or [20, 50]:
        with voila(asked.study) as address:
            found.append(asyncio.run(visit(address, number, asked.seconds)))
        print(json.dumps(found[-1]), flush=True)
        asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
