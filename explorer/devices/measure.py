"""Measure latency on this machine: of a file, of networks, or of every block of some spaces. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from explorer.core.errors import InputError
from explorer.core.layer import Layer
from explorer.core.onnx_session import cores
from explorer.core.protocols import Progress, silent
from explorer.devices.base import Provenance
from explorer.devices.graph import graph_to_time
from explorer.devices.kit_run import hardware, open_graph, time_graphs
from explorer.devices.plan import make_plan
from explorer.devices.quantities import FP32
from explorer.devices.table import BlockTable
from explorer.spaces.base import Space


def measure_networks(
    networks: Sequence[Sequence[Layer]], threads: int = 1, rounds: int = 15, progress: Progress = silent,
    precision: str = FP32,
) -> np.ndarray:  # fmt: skip
    """Measure networks (or single layers) with random weights, in interleaved rounds.

    Returns:
        (n,) median latency in ms.

    Raises:
        InputError: `threads` is below 1 or above the number of cores, or a layer has no form in eight bits.
    """
    if not 1 <= threads <= cores():
        raise InputError(f"threads = {threads!r}; choose from 1 to {cores()}")
    graphs = (graph_to_time(layers, precision) for layers in networks)
    sessions = [open_graph(bytes(graph.SerializeToString()), threads) for graph in graphs]
    median: np.ndarray = time_graphs(sessions, rounds, tell=_tell(progress))[0]
    return median


def measure_file(path: str | Path, threads: int = 1, rounds: int = 30) -> dict[str, Any]:
    """Measure an ONNX file: {"latency_ms", "spread_ms", "threads", "batch", "runtime", "hardware"}."""
    return measure_files([path], threads, rounds)[0]


def measure_files(paths: Sequence[str | Path], threads: int = 1, rounds: int = 30) -> list[dict[str, Any]]:
    """Measure ONNX files in the same rounds, so that a busy machine slows all of them alike; see `measure_file`."""
    if not 1 <= threads <= cores():
        raise InputError(f"threads = {threads!r}; choose from 1 to {cores()}")
    if not paths:
        return []
    about = {"threads": threads, "batch": 1, "runtime": f"onnxruntime {ort.__version__}", "hardware": hardware()}
    timed = time_graphs([open_graph(str(path), threads) for path in paths], rounds)
    return [{"latency_ms": float(ms), "spread_ms": float(spread)} | about for ms, spread in zip(*timed)]


def measure_table(
    name: str, spaces: Sequence[Space], threads: int = 1, rounds: int = 60, networks: int = 100, seed: int = 0,
    progress: Progress = silent, precision: str = FP32,
) -> BlockTable:  # fmt: skip
    """Measure a block table: every distinct block of some spaces, and whole networks in the same rounds.

    Args:
        name: name of the device.
        spaces: search spaces with `parts()`.
        threads: number of threads of the runtime.
        rounds: number of interleaved passes over all graphs.
        networks: number of whole networks; half are used to fit scale and offset, the other half to estimate the error.
        seed: seed for drawing the networks.
        progress: reports the rounds.
        precision: precision of what is timed: "fp32" or "int8".

    Raises:
        InputError: as `measure_networks` does.
    """
    plan = make_plan(spaces, networks, seed=seed)
    ms = measure_networks(plan.graphs, threads, rounds, progress, precision)
    about = Provenance(
        kind="measured", hardware=hardware(), runtime=f"onnxruntime {ort.__version__}", threads=threads, batch=1
    )
    return plan.table(name, ms.tolist(), about, precision)


def _tell(progress: Progress) -> Callable[[range], Any]:
    return lambda rounds: progress(rounds, len(rounds), "timing")
