"""`explorer bench`: speed and memory as ratios measured in one run.

A part is a function of `quick` that returns `{"ratios", "slopes", "times"}`, three flat tables: ratios of two
measurements taken alternately (lower is better), slopes on logarithmic axes (1: proportional), and the seconds,
megabytes or rates from which both are calculated. Machines are noisy and differ, so only ratios are compared between
runs.
"""

import os
import platform
from collections.abc import Callable, Iterable
from datetime import date
from importlib import import_module
from importlib.metadata import version
from typing import Any

from explorer.core.errors import InputError
from explorer.core.protocols import Progress, silent

Part = Callable[[bool], dict[str, dict[str, float]]]

# part -> module that has its function; a module is imported when its part is measured
PARTS = {
    "training": "training", "scoring": "networks", "costs": "costs", "generator": "answers", "search": "answers",
    "random_weights": "networks", "page": "page", "memory": "memory",
    "busy": "busy",
}  # fmt: skip
WORSE = 1.25  # a ratio above this multiple of the reference is a regression


def run(parts: Iterable[str] = (), quick: bool = False, progress: Progress = silent) -> dict[str, Any]:
    """Measure some or all parts.

    Args:
        parts: keys of `PARTS`; all of them by default.
        quick: fewer repetitions and smaller sizes, all parts in less than three minutes.
        progress: reports the progress over parts.

    Returns:
        {"machine", "quick", "parts": {part: {"ratios", "slopes", "times"} or {"skipped": reason}}}.

    Raises:
        InputError: an unknown part.
    """
    chosen = list(dict.fromkeys(parts)) or list(PARTS)
    for name in chosen:
        if name not in PARTS:
            raise InputError(f"part {name!r} is not known; expected one of {', '.join(PARTS)}")
    found = {}
    for name in progress(chosen, len(chosen), "measuring"):
        module = import_module(f"explorer.bench.{PARTS[name]}")
        try:
            found[name] = getattr(module, name)(quick)
        except Skipped as reason:
            found[name] = {"skipped": str(reason)}
    return {"machine": machine(), "quick": quick, "parts": found}


class Skipped(Exception):
    """A part cannot be measured, because this machine lacks something that it needs."""


def machine() -> dict[str, Any]:
    """The machine and the versions that the figures depend on."""
    names = ("numpy", "numba", "onnxruntime", "torch", "voila")
    return {
        "day": date.today().isoformat(), "processor": _processor(), "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity") else os.cpu_count(), "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(), "versions": {name: version(name) for name in names},
    }  # fmt: skip


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def regressions(found: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """Ratios that are more than `WORSE` times those of another run; one line each.

    Raises:
        InputError: the reference is not a result of `explorer bench`.
    """
    try:
        pairs = [
            (f"{part} / {name}", value, reference["parts"][part]["ratios"][name])
            for part, tables in found["parts"].items()
            if "ratios" in tables and "ratios" in reference["parts"].get(part, {})
            for name, value in tables["ratios"].items()
            if name in reference["parts"][part]["ratios"]
        ]
        return [
            f"{name}: {value:.3g}, {value / before:.2f} times {before:.3g}"
            for name, value, before in pairs
            if value > WORSE * before
        ]
    except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
        raise InputError("the reference is not a result of `explorer bench`") from error


def rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One row per figure, for a table."""
    return [
        {"part": part, "kind": kind, "what": name, "value": value}
        for part, tables in found["parts"].items()
        for kind, figures in tables.items()
        for name, value in (figures.items() if isinstance(figures, dict) else [(figures, "")])
    ]
