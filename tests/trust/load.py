"""Many visitors at once, and many one after the other: waits, errors, memory, kernels that stay.

    python -m tests.trust.load crowd --sessions 20 --seconds 120 [--out docs/reliability.json]
    python -m tests.trust.load leak --sessions 200 [--out docs/reliability.json]

`crowd`: so many tabs of a real browser on the page of `fashion-mnist`, each moving its slider every second; the wait is from the key to
the moved budget line. Browsers and server share the machine, so the processor time of both is counted. Then all tabs close,
and the kernels have to be gone after the idle time. `leak`: visitors that only load the page and speak to its kernel
through the websocket. Kernels end after 20 idle seconds here (300 in `explorer dashboard`), so that the script
need not wait for them.
"""

import argparse
import contextlib
import json
import re
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil

from tests.browser.pages import chromium, errors_of, ready, voila
from tests.trust.reliability import note

IDLE = 20
WARM = 10  # visitors before the server's memory counts
MOVE = """async ([every, seconds]) => {
  const plot = document.querySelector('.js-plotly-plot');
  const handle = document.querySelector('.slider-mobile .noUi-handle');
  const line = () => JSON.stringify([...plot.data.find(t => t.name === 'budget').x]);
  const wait = ms => new Promise(done => setTimeout(done, ms));
  const end = performance.now() + 1000 * seconds, waits = [];
  let missed = 0, key = 'ArrowLeft', n = 0;
  while (performance.now() < end) {
    if (++n % 20 === 0) key = key === 'ArrowLeft' ? 'ArrowRight' : 'ArrowLeft';
    const before = line(), start = performance.now();
    handle.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
    while (line() === before && performance.now() - start < 5000) await wait(4);
    if (line() === before) missed++; else waits.push(performance.now() - start);
    await wait(Math.max(0, every - (performance.now() - start)));
  }
  return [waits, missed];
}"""


def kernels(server: psutil.Process) -> list[psutil.Process]:
    """Kernels below a server; one that is ending is none."""
    found = []
    for process in server.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie is one of them
            words = " ".join(process.cmdline())
            fork = "explorer.page.nursery" in words and "explorer.page.nursery" in " ".join(process.parent().cmdline())
            found += [process] if fork or "ipykernel" in words else []
    return found


def memory_mb(processes: list[psutil.Process]) -> float:
    """Memory of processes; what they share is counted in parts."""
    return sum(p.memory_full_info().pss for p in processes) / 2**20


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Processor time of processes so far."""
    return sum(p.cpu_times().user + p.cpu_times().system for p in processes)


def server_of(url: str) -> psutil.Process:
    """The process that listens on a page's port."""
    port = int(re.search(r":(\d+)/", url)[1])
    for process in psutil.Process().children(recursive=True):
        if any(c.status == "LISTEN" and c.laddr.port == port for c in process.net_connections("tcp")):
            return process
    raise RuntimeError(f"nothing of ours listens on port {port}")


def gone(server: psutil.Process, at_most: int, seconds: float) -> int:
    """Kernels that are left after they had time to end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(kernels(server)) > at_most:
        time.sleep(1)
    return len(kernels(server))


def crowd(sessions: int, seconds: float) -> dict:
    """Tabs that all move at once."""
    found: list[str] = []
    with voila("fashion-mnist", idle=IDLE) as url, chromium() as browser:
        server = server_of(url)
        gone(server, 0, 60)  # that of the first request
        before, pages = memory_mb([server]), []
        for _ in range(sessions):
            page = browser.new_context().new_page()
            errors_of(page, found)
            ready(page, url)
            pages.append(page)
        each = memory_mb(kernels(server)) / sessions
        ours = [server, *kernels(server)]
        theirs = [p for p in psutil.Process().children(recursive=True) if "chrom" in p.name()]
        work = [-cpu_seconds(ours), -cpu_seconds(theirs)]
        for page in pages:  # started one after the other, then all run by themselves
            page.evaluate(f"([every, seconds]) => {{ window.__moving = ({MOVE})([every, seconds]); }}", [1000, seconds])
        waits, missed = [], 0
        for page in pages:
            own, lost = page.evaluate("() => window.__moving")
            waits, missed = waits + own, missed + lost
        work = [work[0] + cpu_seconds(ours), work[1] + cpu_seconds(theirs)]
        said = [page.locator("body").inner_text() for page in pages]
        found += ["a fault on the page" for text in said if "Something went wrong" in text]
        for page in pages:
            page.context.close()
        left = gone(server, 0, 90)
        time.sleep(5)  # the server frees what they left after a second
        after = memory_mb([server])
    return {
        "sessions": sessions, "moves": len(waits) + missed, "missed": missed, "errors": found[:5],
        "cpu_ms_per_move": [1000 * w / (len(waits) + missed) for w in work],
        "p50_ms": float(np.percentile(waits, 50)), "p95_ms": float(np.percentile(waits, 95)), "kernel_mb": each,
        "kernels_left": left, "server_mb": [before, after],
    }  # fmt: skip


def leak(sessions: int) -> dict:
    """Visitors one after the other, four at a time alive at most."""
    from jupyter_server.services.kernels.connection.base import serialize_msg_to_ws_v1
    from tornado.httpclient import HTTPRequest
    from tornado.ioloop import IOLoop
    from tornado.websocket import websocket_connect

    async def visit(url: str) -> None:
        body = urllib.request.urlopen(url, timeout=120).read().decode()
        kernel = re.search(r'"kernelId": ?"([0-9a-f-]+)"', body)[1]
        asked = HTTPRequest(url.replace("http", "ws") + f"api/kernels/{kernel}/channels")
        socket = await websocket_connect(asked, subprotocols=["v1.kernel.websocket.jupyter.org"])
        header = {"msg_id": "1", "msg_type": "kernel_info_request", "username": "", "session": "1", "version": "5.3"}
        parts = {"header": header, "parent_header": {}, "metadata": {}, "content": {}}
        message = serialize_msg_to_ws_v1(parts, "shell", pack=lambda part: json.dumps(part).encode())
        await socket.write_message(message, binary=True)
        while b"kernel_info_reply" not in await socket.read_message():
            pass
        socket.close()

    with voila("digits", idle=IDLE) as url:
        server, memory = server_of(url), []
        for i in range(sessions):
            IOLoop.current().run_sync(lambda: visit(url), timeout=180)
            if i % 4 == 3:
                gone(server, 4, 60)
            memory.append(memory_mb([server]))
        left = gone(server, 0, 90)
        memory.append(memory_mb([server]))
    warm = min(WARM, sessions // 2)  # the first visitors load what all others use
    return {"sessions": sessions, "kernels_left": left, "server_mb": [memory[warm - 1], memory[-1]],
            "mb_per_session": (memory[-1] - memory[warm - 1]) / (sessions - warm)}  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["crowd", "leak"])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    result = crowd(given.sessions, given.seconds) if given.what == "crowd" else leak(given.sessions)
    print(json.dumps(result, indent=1))
    if given.out is not None:
        command = f"python -m tests.trust.load {given.what} --sessions {given.sessions}"
        if given.what == "crowd":
            bad = len(result["errors"]) + result["missed"] + result["kernels_left"]
            detail = (f"{result['moves']:,} moves, {result['missed']} without an answer within 5 s; slider to chart p50 "
                      f"{result['p50_ms']:.0f} ms, p95 {result['p95_ms']:.0f} ms; a move took the browser "
                      f"{result['cpu_ms_per_move'][1]:.0f} ms of a core, server and kernel {result['cpu_ms_per_move'][0]:.0f} ms; "
                      f"{result['kernel_mb']:.0f} MB a kernel, {result['kernels_left']} kernels left; the server's memory "
                      f"{result['server_mb'][0]:.0f} to {result['server_mb'][1]:.0f} MB")  # fmt: skip
            command += f" --seconds {given.seconds:g}"
        else:
            bad = result["kernels_left"]
            detail = (f"{bad} kernels left; the server's memory {result['server_mb'][0]:.0f} to "
                      f"{result['server_mb'][1]:.0f} MB ({result['mb_per_session']:.3f} a session)")  # fmt: skip
        title = {"crowd": "visitors at once, moving a slider", "leak": "visitors one after the other"}[given.what]
        note(given.out, f"page/{given.what}", title, tried=given.sessions, bad=bad, detail=detail, command=command)
    sys.exit(1 if result["kernels_left"] else 0)
