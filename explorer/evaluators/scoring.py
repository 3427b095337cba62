"""Score a sample of a space once: the cache, the resume point and the predictor's data.

Rows are appended as they are made, one whole line each; a line that was cut off by a crash is dropped and made again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from explorer.core.architecture import Architecture, key_of
from explorer.core.config import Settings
from explorer.core.errors import InputError
from explorer.core.files import read_limited
from explorer.core.parallel import map_in_workers
from explorer.core.protocols import Evaluator, Progress, SearchSpace, silent
from explorer.spaces.operators import option_counts, unique

HEADER = "key,accuracy,source\n"


class ScoreConfig(Settings):
    """How many architectures are scored, and on how many images."""

    architectures: int = Field(1000, ge=20, le=1_000_000)
    val_images: int | None = Field(None, ge=50, le=1_000_000_000)
    calibration_images: int = Field(2000, ge=32, le=1_000_000_000)
    front_architectures: int = Field(60, ge=0, le=1_000_000)


@dataclass(frozen=True)
class Scored:
    """codes (n, d) int8, accuracy (n,) in [0, 1] and source (n,)."""

    codes: np.ndarray
    accuracy: np.ndarray
    source: np.ndarray


def spread_sample(
    space: SearchSpace, n: int, cost: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Up to n distinct architectures that cover the range of a cost evenly; largest and smallest are the first two.

    Uniform genes crowd around the middle of the range, so a large pool is drawn (also from narrowed depths and widths)
    and thinned by cost.
    """
    counts = option_counts(space)
    pool = [space.sample(6 * n, rng)]
    for share in np.linspace(0, 1, 9):
        # push every gene towards its first or last option with this share
        toward = np.where(rng.random((n, 1)) < 0.5, 0, counts - 1)
        rows = np.where(rng.random((n, len(counts))) < share, toward, rng.integers(0, counts, (n, len(counts))))
        pool.append(space.canonical(rows.astype(np.int8)))
    ends = space.canonical(np.array([counts - 1, np.zeros_like(counts)], np.int8))
    codes = unique(np.concatenate([ends, *pool]))
    codes, ends = codes[len(ends) :], codes[: min(n, len(ends))]
    if len(codes) + len(ends) <= n:
        return np.concatenate([ends, codes])
    costs = np.log(np.maximum(cost(codes), 1e-9))
    bins = np.clip(((costs - costs.min()) / max(np.ptp(costs), 1e-9) * 40).astype(int), 0, 39)
    order = rng.permutation(len(codes))
    # round-robin over bins: the first of every bin, the second of every bin, ...
    rank = np.zeros(len(codes), int)
    for b in range(40):
        rows = order[bins[order] == b]
        rank[rows] = np.arange(len(rows))
    chosen = np.argsort(rank, kind="stable")[: n - len(ends)]
    return np.concatenate([ends, rng.permutation(codes[np.sort(chosen)])])


def score(
    space: SearchSpace, evaluator: Evaluator, n: int = 1000, seed: int = 0, progress: Progress = silent
) -> Scored:
    """Score n architectures spread over the range of MACs (in memory; `append_scores` keeps them on disk)."""
    from explorer.devices import CountDevice

    codes = spread_sample(space, n, lambda c: CountDevice("macs_m").cost(space, c), np.random.default_rng(seed))
    accuracy = evaluate_one_by_one(evaluator, codes, progress)
    return Scored(codes, accuracy, np.full(len(codes), "val"))


def evaluate_one_by_one(evaluator: Evaluator, codes: np.ndarray, progress: Progress) -> np.ndarray:
    """(n,) accuracies with progress."""
    return np.array(list(progress(map_in_workers(_evaluate, list(codes), evaluator), len(codes), "scoring")), float)


def _evaluate(row: np.ndarray, evaluator: Evaluator) -> float:
    return float(evaluator.evaluate(row[None])[0])


def append_scores(
    path: Path, space: SearchSpace, codes: np.ndarray, evaluator: Any, source: str, progress: Progress = silent
) -> Scored:
    """Score what the file does not hold yet, appending line by line; returns the whole file.

    Raises:
        InputError: the file cannot be written, or a worker was killed; what is in the file stays.
    """
    done = _recover(path)
    todo = [row for row in unique(codes) if key_of(space, row) not in done]
    try:
        with open(path, "a", encoding="utf-8", newline="") as file:
            if file.tell() == 0:
                file.write(HEADER)
            values = progress(map_in_workers(_evaluate, todo, evaluator), len(todo), "scoring")
            for row, value in zip(todo, values):
                file.write(f"{key_of(space, row)},{value:.6f},{source}\n")
                file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise InputError(f"cannot write {str(path)!r}: {error.strerror or error}") from error
    return read_scores(path, space)


def _recover(path: Path) -> set[str]:
    """Keys of the whole lines; a last line without its end is cut off."""
    if path.is_symlink():
        raise InputError(f"{str(path)!r} is a link; scores are appended to files only")
    if not path.exists():
        return set()
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        with open(path, "r+b") as file:
            file.truncate(len(whole))
    return {line.split(",", 1)[0] for line in whole.decode().splitlines()[1:]}


def read_scores(path: Path, space: SearchSpace) -> Scored:
    """Read `evaluations.csv`.

    Raises:
        InputError: names the file and the first bad line.
    """
    codes, accuracy, source = [], [], []
    lines = read_limited(path).splitlines()
    if not lines or lines[0] + "\n" != HEADER:
        raise InputError(f"{str(path)!r}: the first line must be {HEADER.strip()!r}")
    for number, line in enumerate(lines[1:], 2):
        cells = line.split(",")
        try:
            value = float(cells[1])
            if len(cells) != 3 or not 0 <= value <= 1:
                raise ValueError
            codes.append(Architecture.from_key(space, cells[0]).choices)
        except (ValueError, IndexError) as error:
            found = f"{str(path)!r}, line {number}: {line[:80]!r}"
            raise InputError(f"{found}: expected columns key, accuracy (0 to 1), source") from error
        accuracy.append(value)
        source.append(cells[2])
    return Scored(np.array(codes, np.int8).reshape(-1, len(space.decisions)), np.array(accuracy), np.array(source))
