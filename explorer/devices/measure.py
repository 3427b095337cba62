"""Timing on this machine: a file, networks, or every block of some spaces. No torch."""

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
from explorer.devices.graph import network_graph
from explorer.devices.kit_run import hardware, open_graph, time_graphs
from explorer.devices.plan import make_plan, table_from
from explorer.devices.table import BlockTable
from explorer.spaces.base import Space


def measure_networks(
    networks: Sequence[Sequence[Layer]], threads: int = 1, rounds: int = 15, progress: Progress = silent
) -> np.ndarray:
    """(n,) median latency in ms of networks (or single layers) with random weights, timed in interleaved rounds.

    Raises:
        InputError: more threads than cores.
    """
    if not 1 <= threads <= cores():
        raise InputError(f"threads = {threads!r}; choose from 1 to {cores()}")
    sessions = [open_graph(bytes(network_graph(layers).SerializeToString()), threads) for layers in networks]
    median: np.ndarray = time_graphs(sessions, rounds, tell=_tell(progress))[0]
    return median


def measure_file(path: str | Path, threads: int = 1, rounds: int = 30) -> dict[str, Any]:
    """Latency of an ONNX file on this machine: {"latency_ms", "spread_ms", "threads", "runtime", "hardware"}."""
    if not 1 <= threads <= cores():
        raise InputError(f"threads = {threads!r}; choose from 1 to {cores()}")
    median, spread = time_graphs([open_graph(str(path), threads)], rounds)
    return {
        "latency_ms": float(median[0]), "spread_ms": float(spread[0]), "threads": threads, "batch": 1,
        "runtime": f"onnxruntime {ort.__version__}", "hardware": hardware(),
    }  # fmt: skip


def measure_table(
    name: str, spaces: Sequence[Space], threads: int = 1, rounds: int = 60, networks: int = 100, seed: int = 0,
    progress: Progress = silent,
) -> BlockTable:  # fmt: skip
    """Time every distinct block of some spaces, and whole networks in the same rounds.

    Args:
        name: of the device.
        spaces: with `parts()`.
        threads: of the runtime.
        rounds: interleaved passes.
        networks: whole networks in all; half fit scale and offset, the others, unseen, give the error.
        seed: of the networks.
        progress: reports rounds.
    """
    plan = make_plan(spaces, networks, seed=seed)
    ms = measure_networks(plan.graphs, threads, rounds, progress)
    blocks = {layer.signature: float(t) for layer, t in zip(plan.blocks, ms[1:])}
    whole = [([x.signature for x in layers], float(t)) for layers, t in zip(plan.networks, ms[1 + len(blocks) :])]
    about = Provenance(
        kind="measured", hardware=hardware(), runtime=f"onnxruntime {ort.__version__}", threads=threads, batch=1
    )
    return table_from(name, float(ms[0]), blocks, whole, about)


def _tell(progress: Progress) -> Callable[[range], Any]:
    return lambda rounds: progress(rounds, len(rounds), "timing")
