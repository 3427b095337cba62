"""Median times of functions that are run alternately, and their growth with size."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def median_seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """Median seconds, after one warm-up run."""
    return in_turns({"run": run}, repeats)["run"]


def in_turns(runs: Mapping[str, Callable[[], object]], repeats: int = 5) -> dict[str, float]:
    """Median seconds of each function, run alternately, so that other load on the machine affects all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name] += [time.perf_counter() - start] * (turn > 0)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of the values over the sizes on logarithmic axes (1: proportional).

    Only the upper half of the sizes counts, where fixed costs no longer matter.
    """
    half = slice(len(sizes) // 2 - (len(sizes) == 2), None)
    return float(np.polyfit(np.log(sizes[half]), np.log(values[half]), 1)[0])


def growth(measure: Callable[[int], float], sizes: Sequence[int]) -> tuple[float, dict[str, float]]:
    """Measure at every size; returns the slope and {size: value}."""
    values = [measure(size) for size in sizes]
    return slope(sizes, values), {f"{size:,}": value for size, value in zip(sizes, values)}
