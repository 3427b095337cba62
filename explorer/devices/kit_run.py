#!/usr/bin/env python3
"""Time ONNX graphs on this machine. Needs Python, numpy and onnxruntime, nothing else.

    python run.py                      writes timings.json beside itself
    python run.py --threads 2 --name my-phone --seconds 0.01

One session per graph and a fixed number of threads. Every round times all graphs one after the other, so a slow moment
of the machine affects all of them; the median over the rounds is kept. The package uses the same code to time graphs.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.32 would report its use to its makers
import onnxruntime as ort


def open_graph(model: Any, threads: int) -> ort.InferenceSession:
    """Open a session for a graph (path or bytes) with a fixed number of threads, which do not spin between calls."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def time_graphs(
    sessions: list, rounds: int = 15, seconds: float = 0.004, tell: Callable[[range], Any] = iter
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n,) median and (n,) spread (half the interquartile range) of the run time of every session, in ms.

    `seconds` is the target time per session and round; `tell` wraps the rounds, to report progress.
    """
    feeds, repeats = [], []
    for session in sessions:
        entry = session.get_inputs()[0]
        shape = [d if isinstance(d, int) else 1 for d in entry.shape]
        values = np.random.default_rng(0).random(shape, np.float32)
        whole = entry.type == "tensor(uint8)"
        feeds.append({entry.name: (values * 255).astype(np.uint8) if whole else values})
        for _ in range(3):
            session.run(None, feeds[-1])
        start = time.perf_counter()
        session.run(None, feeds[-1])
        repeats.append(max(1, min(200, int(seconds / max(1e-6, time.perf_counter() - start)))))
    times = np.zeros((rounds, len(sessions)))
    for i in tell(range(rounds)):
        for j, (session, feed, n) in enumerate(zip(sessions, feeds, repeats)):
            start = time.perf_counter()
            for _ in range(n):
                session.run(None, feed)
            times[i, j] = (time.perf_counter() - start) / n * 1e3
    low, median, high = np.percentile(times, [25, 50, 75], axis=0)
    return median, (high - low) / 2


def hardware() -> str:
    """Return the name of this machine's processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model", "Hardware")):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def main() -> None:
    """Time every graph of the kit and write one JSON file."""
    folder = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Time the ONNX graphs of this kit.")
    parser.add_argument("--name", default="", help="of the device, if the import is not to ask")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=0.004, help="per graph and round")
    parser.add_argument("--out", type=Path, default=folder / "timings.json")
    chosen = parser.parse_args()
    if chosen.threads < 1 or chosen.rounds < 1 or not chosen.seconds > 0:
        parser.error("--threads and --rounds are at least 1, --seconds above 0")
    kit = json.loads((folder / "kit.json").read_text())
    sessions = [open_graph(str(folder / graph["file"]), chosen.threads) for graph in kit["graphs"]]

    def tell(rounds: range) -> Iterator[int]:
        for i in rounds:
            print(f"\rround {i + 1} of {len(rounds)}", end="", file=sys.stderr, flush=True)
            yield i

    median, spread = time_graphs(sessions, chosen.rounds, chosen.seconds, tell)
    for graph, ms, around in zip(kit["graphs"], median, spread):
        graph["ms"], graph["spread_ms"] = float(ms), float(around)
    kit.update(
        kind="timings", device=chosen.name, threads=chosen.threads, hardware=hardware(), platform=platform.platform(),
        runtime="onnxruntime " + ort.__version__,
    )  # fmt: skip
    temporary = chosen.out.with_name(chosen.out.name + ".tmp")
    temporary.write_text(json.dumps(kit, indent=1))
    temporary.replace(chosen.out)
    print(f"\nwritten: {chosen.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
