"""Recognise files of other tools that people try as a device, to say what they are and what is read instead."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

READ = "read are: a device's JSON, a kit's timings.json, once-for-all's tables (YAML), and CSV block tables"


def foreign_json(values: object) -> str:
    """Return what parsed JSON is if it belongs to a known tool, in words; "" if it is not recognised."""
    return next((words for words, matches in JSON_FILES if matches(values)), "")


def foreign_columns(columns: Collection[str]) -> str:
    """Return what a CSV file with these columns is if it belongs to a known tool; "" if it is not recognised."""
    return next((words for words, known in CSV_FILES if known <= set(columns)), "")


def foreign_suffix(path: Path) -> str:
    """Return what a file is by the suffix of its name; "" if the suffix says nothing."""
    return SUFFIXES.get(path.suffix.lower(), "")


def _keys(values: object, depth: int) -> set[str]:
    """The keys of an object and of the objects inside it, down to `depth`; of every object a few entries are read."""
    if isinstance(values, list):
        return set().union(*(_keys(value, depth) for value in values[:3]))
    if not isinstance(values, dict):
        return set()
    found = {str(key) for key in values}
    if depth:
        found |= set().union(*(_keys(value, depth - 1) for value in list(values.values())[:3]))
    return found


def _nn_meter(values: object) -> bool:
    """nn-Meter's graphs have nodes with `inbounds`; its profiled kernels have a config and a "12.3 +- 0.1" each."""
    keys = _keys(values, 3)
    return isinstance(values, dict) and ({"inbounds", "outbounds"} <= keys or "+-" in _latency(values))


def _latency(values: Any) -> str:
    """The first entry `latency` inside nested objects, as text."""
    while isinstance(values, dict) and values:
        if "latency" in values:
            return str(values["latency"])
        values = next(iter(values.values()))
    return ""


def _has(*names: str, depth: int = 0) -> Callable[[object], bool]:
    return lambda values: set(names) <= _keys(values, depth)


def _kind(name: str) -> Callable[[object], bool]:
    return lambda values: isinstance(values, dict) and values.get("kind") == name


JSON_FILES: tuple[tuple[str, Callable[[object], bool]], ...] = (
    ("a measuring kit that has not run yet: start its run.py on the device, then import timings.json", _kind("kit")),
    ("a file of nn-Meter, which is not read", _nn_meter),
    ("a profile of onnxruntime or a Chrome trace, which is not read",
     lambda v: isinstance(v, list) and _has("ph", "ts")(v)),
    ("a trace of torch.profiler or Chrome, which is not read", _has("traceEvents")),
    ("a profile of TensorRT's trtexec, which is not read", lambda v: isinstance(v, list) and (
        _has("averageMs")(v) or _has("latencyMs")(v))),
    ("a report of OpenVINO's benchmark_app, which is not read", _has("execution_results")),
    ("a profile of Qualcomm AI Hub, which is not read", _has("execution_summary", "execution_detail")),
    ("one network in once-for-all's notation, not a device", lambda v: isinstance(v, dict) and _has("ks", "e", "d")(v)),
    ("the manifest of a study, not a device; the devices of a study are in its folder devices/",
     lambda v: isinstance(v, dict) and _has("files", "generators")(v)),
)  # fmt: skip

CSV_FILES: tuple[tuple[str, set[str]], ...] = (
    ("a counters report of OpenVINO's benchmark_app, which is not read", {"layername", "layertype"}),
    ("a profile of TFLite's benchmark_model, which is not read", {"node_type", "avg_ms"}),
)

SUFFIXES = {
    ".pkl": "a pickle, which is never read because it can run any code",
    ".pickle": "a pickle, which is never read because it can run any code",
    ".pt": "weights or a pickle of PyTorch, not a device", ".pth": "weights or a pickle of PyTorch, not a device",
    ".onnx": "a network, not a device; devices are made with: explorer device measure",
    ".tflite": "a network, not a device; devices are made with: explorer device measure",
    ".engine": "a network built by TensorRT, not a device", ".npy": "an array of numpy, which says no layers",
    ".npz": "arrays of numpy, which say no layers", ".xlsx": "a workbook of Excel; save it as CSV",
    ".xls": "a workbook of Excel; save it as CSV", ".ods": "a workbook; save it as CSV",
}  # fmt: skip
