"""Scoring of a sample of architectures; the file of scores is the cache, the resume point and the predictor's data.

Every score is appended as one line once it is computed. A line that a crash cut off is dropped and computed again.
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
    """How many architectures are scored, and on how many images.

    Attributes:
        architectures: number of sampled architectures.
        val_images: validation images per score; None for all.
        calibration_images: training images for the recalibration of batch norm.
        front_architectures: architectures of the searched fronts that are scored in addition.
        eight_bits: architectures that are measured in eight bits, too; 0 for none.
    """

    architectures: int = Field(1000, ge=20, le=1_000_000)
    val_images: int | None = Field(None, ge=50, le=1_000_000_000)
    calibration_images: int = Field(2000, ge=32, le=1_000_000_000)
    front_architectures: int = Field(60, ge=0, le=1_000_000)
    eight_bits: int = Field(0, ge=0, le=1_000_000)


@dataclass(frozen=True)
class Scored:
    """Scored architectures.

    Attributes:
        codes: (n, d) int8.
        accuracy: (n,) in [0, 1].
        source: (n,) origin of each accuracy, such as "val" or "published".
    """

    codes: np.ndarray
    accuracy: np.ndarray
    source: np.ndarray


def spread_sample(
    space: SearchSpace, n: int, cost: Callable[[np.ndarray], np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Sample up to n distinct architectures that cover the range of a cost evenly, the largest and the smallest first.

    Uniform samples concentrate in the middle of the range. So a large pool is sampled, in part biased towards the first
    or the last options, and thinned out by cost.

    Args:
        space: the search space.
        n: number of architectures; fewer are returned if the pool has fewer.
        cost: codes (k, d) -> costs (k,), NaN for an architecture that has none and is left out.
        rng: source of all random numbers.
    """
    counts = option_counts(space)
    pool = [space.sample(6 * n, rng)]
    for share in np.linspace(0, 1, 9):
        # set every gene to its first or last option with this probability
        toward = np.where(rng.random((n, 1)) < 0.5, 0, counts - 1)
        rows = np.where(rng.random((n, len(counts))) < share, toward, rng.integers(0, counts, (n, len(counts))))
        pool.append(space.canonical(rows.astype(np.int8)))
    ends = space.canonical(np.array([counts - 1, np.zeros_like(counts)], np.int8))
    codes = unique(np.concatenate([ends, *pool]))
    codes, ends = codes[len(ends) :], codes[: min(n, len(ends))]
    if len(codes) + len(ends) <= n:
        return np.concatenate([ends, codes])
    costs = cost(codes)
    codes, costs = codes[~np.isnan(costs)], np.log(np.maximum(costs[~np.isnan(costs)], 1e-9))
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
    """Score n architectures spread evenly over the range of MACs (in memory; `append_scores` writes to a file)."""
    from explorer.devices import CountDevice

    codes = spread_sample(space, n, lambda c: CountDevice("macs_m").cost(space, c), np.random.default_rng(seed))
    accuracy = evaluate_one_by_one(evaluator, codes, progress)
    return Scored(codes, accuracy, np.full(len(codes), "val"))


def evaluate_one_by_one(evaluator: Evaluator, codes: np.ndarray, progress: Progress) -> np.ndarray:
    """Evaluate architectures one by one, reporting progress; return accuracies (n,)."""
    return np.array(list(progress(map_in_workers(_evaluate, list(codes), evaluator), len(codes), "scoring")), float)


def _evaluate(row: np.ndarray, evaluator: Evaluator) -> float:
    return float(evaluator.evaluate(row[None])[0])


def append_scores(
    path: Path, space: SearchSpace, codes: np.ndarray, evaluator: Any, source: str, progress: Progress = silent
) -> Scored:
    """Score the architectures that are not in the file yet, appending line by line; return all scores in the file.

    Args:
        path: file of scores; created if it does not exist.
        space: the search space.
        codes: (n, d) int8.
        evaluator: gives the accuracies.
        source: origin of the new scores, such as "val".
        progress: reports scored architectures.

    Raises:
        InputError: the file cannot be written, or a worker process was killed; scores already in the file are kept.
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
    """Return the keys in the file, after cutting off an incomplete last line."""
    if path.is_symlink():
        raise InputError(f"{str(path)!r} is a symbolic link; scores are written only to regular files")
    if not path.exists():
        return set()
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        with open(path, "r+b") as file:
            file.truncate(len(whole))
    return {line.split(",", 1)[0] for line in whole.decode().splitlines()[1:]}


def read_scores(path: Path, space: SearchSpace) -> Scored:
    """Read a file of scores (`evaluations.csv`).

    Raises:
        InputError: the file is invalid; the message names it and the first bad line.
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
