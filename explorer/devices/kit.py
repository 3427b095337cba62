"""The measuring kit: a folder that times a space's blocks on another machine, and the import of its timings.

The other machine needs Python, numpy and onnxruntime.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from explorer.core.config import Settings, parse
from explorer.core.errors import InputError
from explorer.core.files import empty_folder, hand_over, scratch, write_json
from explorer.core.layer import Layer
from explorer.devices import kit_run
from explorer.devices.base import LARGEST, Provenance
from explorer.devices.few import FEWEST, FewFit, fit_few, known_models
from explorer.devices.graph import graph_to_time
from explorer.devices.plan import make_plan, table_from, whole_plan
from explorer.devices.quantities import FP32
from explorer.devices.table import BlockTable
from explorer.spaces.base import Space

MOST = 300  # maximum number of graphs in one kit
README = """# Measuring kit

Copy this folder to the device. There, with Python, numpy and onnxruntime 1.15 or newer:

    python run.py --threads 1

It takes some minutes and writes `timings.json`. Back home:

    explorer device import timings.json --name my-device --out my-device.json
"""


class Timing(Settings):
    """One graph of a kit and its latency."""

    file: str
    kind: Literal["call", "block", "network"]
    layers: list[str] = Field(min_length=1, max_length=1000)
    ms: float = Field(ge=1e-6, le=LARGEST)
    spread_ms: float = Field(0, ge=0, le=LARGEST)


class Timings(Settings):
    """The contents of `timings.json`, as a kit writes it."""

    format: Literal[1]
    kind: Literal["timings"]
    spaces: list[str]
    interpolates: bool
    graphs: list[Timing] = Field(min_length=2, max_length=10_000)
    precision: Literal["fp32", "int8"] = "fp32"
    device: str = ""
    threads: int = Field(ge=1)
    hardware: str = ""
    platform: str = ""
    runtime: str = ""


def write_kit(
    names: Sequence[str], spaces: Sequence[Space], out: str | Path, networks: int = 40, seed: int = 0,
    whole: bool = False, precision: str = FP32,
) -> int:  # fmt: skip
    """Write a kit and return its number of graphs (at most 300).

    Args:
        names: names of `spaces`, for the import.
        spaces: search spaces with `parts()`.
        out: an empty or new folder.
        networks: number of whole networks; half are used to fit scale and offset, half to estimate the error.
        seed: seed for drawing the networks.
        whole: time whole networks only; their number is at least 10, see `few.fit_few`.
        precision: precision of what is timed.

    Raises:
        InputError: `out` is not empty or cannot be written, there are too few whole networks, or a layer has no form in
            eight bits.
    """
    out = empty_folder(out)
    if whole and not FEWEST <= networks < MOST:
        raise InputError(f"networks = {networks}; a kit of whole networks has {FEWEST} to {MOST - 1}")
    plan = whole_plan(spaces, networks, seed) if whole else make_plan(spaces, networks, MOST, seed)
    kinds = ["call", *["block"] * len(plan.blocks), *["network"] * len(plan.networks)]
    graphs = []
    with scratch("explorer-kit-") as work:
        (work / "graphs").mkdir()
        for i, (kind, layers) in enumerate(zip(kinds, plan.graphs)):
            file = f"graphs/{i:03d}.onnx"
            (work / file).write_bytes(graph_to_time(layers, precision).SerializeToString())
            graphs.append({"file": file, "kind": kind, "layers": [layer.signature for layer in layers]})
        about = {
            "format": 1,
            "kind": "kit",
            "spaces": list(names),
            "interpolates": plan.interpolates,
            "precision": precision,
        }
        write_json(work / "kit.json", about | {"graphs": graphs})
        shutil.copyfile(kit_run.__file__, work / "run.py")
        (work / "README.md").write_text(README)
        hand_over(work, out)
    return len(graphs)


def few_of_kit(values: object, name: str, source: str) -> FewFit | None:
    """Fit a device to the timings of a kit that has whole networks only; None for any other kit.

    Raises:
        InputError: the JSON is not the timings of a kit, or it has fewer than 10 different networks.
    """
    timings = parse(Timings, values, source)
    if any(graph.kind == "block" for graph in timings.graphs):
        return None
    timed = [graph for graph in timings.graphs if graph.kind == "network"]
    networks = [[Layer.of_signature(signature) for signature in graph.layers] for graph in timed]
    about = Provenance(
        kind="modelled", hardware=timings.hardware, runtime=timings.runtime, threads=timings.threads, batch=1,
        source=f"{len(timed)} whole networks, by a kit of {', '.join(timings.spaces)}",
    )  # fmt: skip
    found = fit_few(name, networks, np.array([graph.ms for graph in timed]), about, known_models())
    found.device.precision = timings.precision
    return found


def table_of_kit(values: object, name: str, source: str) -> BlockTable:
    """Create a device from the parsed `timings.json` of a kit.

    Raises:
        InputError: the JSON is not the timings of a kit; the message names the file and the value.
    """
    timings = parse(Timings, values, source)
    graphs = timings.graphs
    call = [g.ms for g in graphs if g.kind == "call"]
    if len(call) != 1:
        raise InputError(f"{source}: graphs has {len(call)} of kind 'call'; expected exactly one")
    blocks = {g.layers[0]: g.ms for g in graphs if g.kind == "block"}
    if not blocks:
        raise InputError(f"{source}: graphs has no entry of kind 'block'")
    networks = [(g.layers, g.ms) for g in graphs if g.kind == "network"]
    about = Provenance(
        kind="measured", hardware=timings.hardware, runtime=timings.runtime, threads=timings.threads, batch=1
    )
    table = table_from(name, call[0], blocks, networks, about, timings.interpolates, timings.precision)
    table.provenance = table.provenance.model_copy(
        update={"source": f"{table.provenance.source}, by a kit of {', '.join(timings.spaces)}"}
    )
    return table
