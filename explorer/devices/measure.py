"""Timing ONNX graphs on this machine, and from block timings a device.

One session per graph, threads fixed, rounds interleaved over all graphs so that a slow moment of the machine hits
all of them; the median over rounds is kept.
"""

import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from explorer.devices.base import Provenance
from explorer.devices.graph import network_graph
from explorer.devices.table import BlockTable
from explorer.layer import Layer
from explorer.onnx_session import open_session
from explorer.protocols import Progress, silent


def time_sessions(
    sessions: Sequence[ort.InferenceSession], rounds: int = 15, batch: int = 1, seconds: float = 0.004,
    progress: Progress = silent,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Median and spread (half the interquartile range) of each session's run time, in ms.

    Args:
        sessions: each with one float input.
        rounds: interleaved passes over all sessions.
        batch: images at once, where the graph leaves n open.
        seconds: aim per session and round.
        progress: reports rounds.
    """
    feeds, repeats = [], []
    for s in sessions:
        entry = s.get_inputs()[0]
        shape = [d if isinstance(d, int) else batch for d in entry.shape]
        feeds.append({entry.name: np.random.default_rng(0).random(shape, np.float32)})
        for _ in range(3):
            s.run(None, feeds[-1])
        start = time.perf_counter()
        s.run(None, feeds[-1])
        repeats.append(max(1, min(200, int(seconds / max(1e-6, time.perf_counter() - start)))))
    times = np.zeros((rounds, len(sessions)))
    for i in progress(range(rounds), rounds, "timing"):
        for j, (s, feed, n) in enumerate(zip(sessions, feeds, repeats)):
            start = time.perf_counter()
            for _ in range(n):
                s.run(None, feed)
            times[i, j] = (time.perf_counter() - start) / n * 1e3
    low, median, high = np.percentile(times, [25, 50, 75], axis=0)
    return median, (high - low) / 2


def measure_file(path: str | Path, threads: int = 1, rounds: int = 30) -> dict[str, Any]:
    """Latency of an ONNX file on this machine: {"latency_ms", "spread_ms", "threads", "runtime", "hardware"}."""
    median, spread = time_sessions([open_session(str(path), threads)], rounds)
    return {
        "latency_ms": float(median[0]), "spread_ms": float(spread[0]), "threads": threads, "batch": 1,
        "runtime": f"onnxruntime {ort.__version__}", "hardware": hardware(),
    }  # fmt: skip


def hardware() -> str:
    """This machine's processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def measure_table(
    name: str, spaces: Sequence[Any], threads: int = 1, rounds: int = 15, networks: int = 40, seed: int = 0,
    progress: Progress = silent,
) -> BlockTable:  # fmt: skip
    """Time every distinct layer of some spaces, then fit and check the sum on whole networks.

    Half of `networks` fit one scale and one offset for all spaces; the other half, unseen, give the error.

    Args:
        name: of the device.
        spaces: with `parts()`.
        threads: of the runtime.
        rounds: interleaved passes.
        networks: whole networks per space.
        seed: of the networks.
        progress: reports rounds.
    """
    layers = sorted({layer for space in spaces for layer in all_layers(space)}, key=lambda layer: layer.signature)
    nothing = Layer("pool", 1, 1, 1, name="call")  # what a call costs that computes nothing
    rng = np.random.default_rng(seed)
    samples = [(space, space.sample(networks, rng)) for space in spaces]
    whole = [space.layers(row) for space, codes in samples for row in codes]
    # blocks and whole networks in the same rounds, so that a machine whose speed drifts changes both alike
    graphs = [open_session(_bytes(x), threads) for x in [[nothing], *([layer] for layer in layers), *whole]]
    medians, _ = time_sessions(graphs, rounds, progress=progress)
    alone = np.maximum(medians[1 : len(layers) + 1] - medians[0], 0.0)
    blocks = {layer.signature: round(float(ms), 6) for layer, ms in zip(layers, alone)}
    bare = BlockTable(name, Provenance(kind="measured"), blocks)
    x = np.concatenate([bare.cost(space, codes) for space, codes in samples])
    y = medians[len(layers) + 1 :]
    fitted = np.arange(len(x)) % 2 == 0
    # relative errors count, so that small networks are fitted as well as large ones
    weights = 1 / y[fitted]
    design = np.stack([x[fitted], np.ones(fitted.sum())], 1) * weights[:, None]
    scale, offset = np.linalg.lstsq(design, y[fitted] * weights, rcond=None)[0]
    if offset < 0:  # no network costs less than nothing
        scale, offset = np.linalg.lstsq(design[:, :1], y[fitted] * weights, rcond=None)[0][0], 0.0
    error = _error(offset + scale * x[~fitted], y[~fitted])
    provenance = Provenance(
        kind="measured", hardware=hardware(), runtime=f"onnxruntime {ort.__version__}", threads=threads, batch=1,
        source=f"{len(layers)} blocks timed one by one; scale and offset fitted on {fitted.sum()} whole networks",
        error=error, note=f"error on {(~fitted).sum()} unseen whole networks",
    )  # fmt: skip
    return BlockTable(name, provenance, blocks, round(float(scale), 6), round(float(offset), 6))


def all_layers(space: Any) -> set[Layer]:
    """Every distinct layer of a space with `parts()`."""
    counts = [len(options) for options in space.decisions.values()]
    found: set[Layer] = set()
    for part in space.parts():
        for choices in np.ndindex(*(counts[g] for g in part.genes)):
            found.update(part.layers(choices))
    return found


def _bytes(layers: Sequence[Layer]) -> bytes:
    return bytes(network_graph(layers).SerializeToString())


def _error(predicted: np.ndarray, measured: np.ndarray) -> dict[str, float]:
    from explorer.front import kendall_tau

    return {
        "mape": round(float(np.mean(np.abs(predicted / measured - 1))), 4),
        "kendall_tau": round(kendall_tau(predicted, measured), 4),
        "networks": len(measured),
    }


__all__ = ["all_layers", "hardware", "measure_file", "measure_table", "time_sessions"]
