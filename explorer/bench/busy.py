"""Benchmark of a training while another process keeps one core busy: every stage of a recipe over the time alone."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from explorer.bench import Skipped


def busy(quick: bool) -> dict[str, dict[str, float]]:
    """Seconds of every stage of the recipe "digits", with one busy core over alone, in turns."""
    from explorer.core.onnx_session import cores

    if cores() < 2:
        raise Skipped("one core of two is kept busy; this machine has one")
    turns = 1 if quick else 2
    seconds: dict[str, dict[str, list[float]]] = {"alone": {}, "busy": {}}
    _stages(quick)  # compiles loops, loads libraries
    for _ in range(turns):
        for how, beside in (("alone", nullcontext), ("busy", one_busy_core)):
            with beside():
                for name, value in _stages(quick).items():
                    seconds[how].setdefault(name, []).append(value)
    known = {how: {name: float(np.median(values)) for name, values in found.items()} for how, found in seconds.items()}
    return {
        "ratios": {
            f"{name}, one core busy over alone": known["busy"][name] / alone for name, alone in known["alone"].items()
        },
        "slopes": {},
        "times": {f"seconds of {name}, {how}": value for how, found in known.items() for name, value in found.items()},
    }  # fmt: skip


@contextmanager
def one_busy_core() -> Iterator[None]:
    """Another process that computes all the time."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def _stages(quick: bool) -> dict[str, float]:
    """Train by the recipe; return the seconds of every stage that takes more than a moment."""
    from explorer.data import load_dataset
    from explorer.study.from_images import FromImages
    from explorer.study.recipe import load_recipe

    recipe = load_recipe("digits")
    if quick:
        recipe = recipe.model_copy(update={
            "supernet": recipe.supernet.model_copy(update={"epochs": 6}),
            "scores": recipe.scores.model_copy(update={"architectures": 60}),
            "expert": recipe.method_settings("expert").model_copy(update={"rounds": 10}),
            "pnag": recipe.method_settings("pnag").model_copy(update={"iterations": 30, "ranker_steps": 100}),
        })  # fmt: skip
    images = load_dataset(recipe.data, recipe.seed, 8)
    with tempfile.TemporaryDirectory() as folder:
        making = FromImages(recipe, Path(folder), images, lambda items, total, what: items)
        making.check_devices()
        making.write_devices()
        seconds = {}
        for name, stage in (
            ("supernet", making.train_weights), ("scores", lambda: making.rows),
            ("predictor", lambda: making.predictor), ("searches", making.write_fronts),
            ("generators", making.generators), ("writing", making.write),
        ):  # fmt: skip
            start = time.perf_counter()
            stage()
            seconds[name] = time.perf_counter() - start
    return seconds
