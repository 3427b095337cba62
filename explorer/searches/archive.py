"""The archive of a search: the evaluated networks, the non-dominated ones among them, and how to resume after a stop.

Every algorithm evaluates through `Archive.evaluate`, which counts distinct canonical networks and keeps the front of
those that meet the budgets. Algorithms are deterministic functions of their seed, so a stopped search is resumed by
running it again with the saved results: it requests the same networks and gets their results at once.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from explorer.core.architecture import as_codes
from explorer.core.errors import InputError, first_line
from explorer.core.files import write_bytes
from explorer.core.front import hypervolume, nondominated
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.devices.population import costs_of, overshoot
from explorer.spaces.operators import option_counts

MOST = 4_000_000_000  # largest size of a saved search, unpacked, in bytes
TRIED = 8  # saved networks that are evaluated again, to check that evaluator and devices have not changed

SAVE_SECONDS = 10.0  # shortest time between two saves
CHUNK = 64  # networks per evaluator call if results are saved, since an evaluator may need seconds for each


HISTORY = 10_000  # number of evaluated networks whose codes and accuracy are kept


class Finished(Exception):
    """Raised when the evaluations are used up or the hypervolume no longer grows; the archive holds the result."""


class Archive:
    """All non-dominated networks found so far that meet the budgets.

    Args:
        space, evaluator, devices: any objects that implement the protocols in `explorer.core.protocols`.
        evaluations: largest number of distinct networks that are evaluated.
        limits: (m,) budgets, NaN where there is none; networks over them are counted but do not enter the front.
        patience: evaluations without a gain in hypervolume after which the search ends; None for no early stop.
        file: results are saved to this file about every ten seconds, and read from it if it exists.
        about: description of the search; a file with another description is refused.

    Attributes:
        codes, accuracy, costs: the front: (n, d) int8, (n,) and (n, m).
        count: number of distinct networks evaluated so far.
        worst: (1 + m,) largest error and costs evaluated so far.
        population: (k, d) what an algorithm kept for its next generation when it last told; the published results are
            of final populations, whereas a front is of all networks evaluated.

    Raises:
        InputError: the file is damaged or belongs to another search.
    """

    def __init__(
        self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], evaluations: int,
        limits: np.ndarray | None = None, patience: int | None = None, file: Path | None = None,
        about: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        self.space, self.evaluator, self.devices = space, evaluator, list(devices)
        self.evaluations, self.patience, self.file = evaluations, patience, file
        self.limits = np.full(len(self.devices), np.nan) if limits is None else limits
        d, m = len(space.decisions), len(self.devices)
        self.codes, self.accuracy, self.costs = np.zeros((0, d), np.int8), np.zeros(0), np.zeros((0, m))
        self.count = 0
        self._found = np.zeros((0, 1 + m))  # accuracy and costs of every evaluated network, see `_seen`
        self._history: list[tuple[np.ndarray, np.ndarray]] = []
        self.worst = np.zeros(1 + m)
        self.population = np.zeros((0, d), np.int8)
        self._seen: dict[int, int] = {}  # hash of a network -> its row in `_found`
        self._about = json.dumps(dict(about or {}), sort_keys=True)
        self._partial = False  # whether a network without a cost was met
        self._made: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._saved = time.monotonic()
        self._corner: list[float] = []
        self._volume, self._gained, self._looked = 0.0, 0, 0
        self._known = self._read() if file is not None and file.exists() else None

    @property
    def history(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes (n, d) and accuracy (n,) of the first networks evaluated, about `HISTORY` at most."""
        codes, accuracy = (np.concatenate(parts) for parts in zip(*self._history))
        self._history = [(codes, accuracy)]
        return codes, accuracy

    def fresh(self, codes: np.ndarray) -> np.ndarray:
        """Return the distinct rows that have not been evaluated before and have a cost on every device."""
        new = codes[self._new(hashes(codes))]
        return new[~np.isnan(costs_of(self.space, self.devices, new)).any(1)] if self._partial else new

    @property
    def left(self) -> int:
        """Number of evaluations left."""
        return self.evaluations - self.count

    def evaluate(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate canonical codes (n, d); return accuracy (n,) and costs (n, m), NaN where there is no price.

        The evaluator gets every network once; networks that were evaluated before are remembered and not counted again.

        Raises:
            Finished: the evaluations are used up, or the hypervolume no longer grows; the archive is complete.
        """
        names = hashes(codes)
        fresh = self._new(names)
        if self.left <= 0 or (fresh.sum() > self.left and not self._cut(codes[fresh])):
            raise Finished
        if fresh.any():
            self._enter(codes[fresh], *self._results(codes[fresh], names[fresh]), names[fresh])
        self._stop_if_still()
        found = self._found[[self._seen[name] for name in names.tolist()]]
        return found[:, 0], found[:, 1:]

    def offer(self, codes: np.ndarray) -> int:
        """Evaluate those of the canonical codes (n, d) that are new; return their number.

        Raises:
            Finished: as in `evaluate`.
        """
        fresh = self.fresh(codes)
        if len(fresh):
            self.evaluate(fresh)
        elif self.left <= 0:
            raise Finished
        return len(fresh)

    def _new(self, names: np.ndarray) -> np.ndarray:
        """Return (n,) bool: True at the first row of every network that has not been evaluated before."""
        return first_of_each(names) & np.array([name not in self._seen for name in names.tolist()], bool)

    def _cut(self, fresh: np.ndarray) -> bool:
        """Evaluate as many rows as there are evaluations left, to complete the front; always return False."""
        rows = fresh[: self.left]
        names = hashes(rows)
        self._enter(rows, *self._results(rows, names), names)
        return False

    def _results(self, codes: np.ndarray, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._known is None:
            return self._measure(codes)
        known_names, known_accuracy, known_costs = self._known
        at = np.searchsorted(known_names, names)
        hit = known_names[np.minimum(at, len(known_names) - 1)] == names
        accuracy, costs = np.zeros(len(codes)), np.zeros((len(codes), len(self.devices)))
        accuracy[hit], costs[hit] = known_accuracy[at[hit]], known_costs[at[hit]]
        if not hit.all():
            accuracy[~hit], costs[~hit] = self._measure(codes[~hit])
        return accuracy, costs

    def _measure(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self.file is None:
            return np.asarray(self.evaluator.evaluate(codes), float), costs_of(self.space, self.devices, codes)
        parts = []
        for start in range(0, len(codes), CHUNK):
            part = codes[start : start + CHUNK]
            accuracy = np.asarray(self.evaluator.evaluate(part), float)
            parts.append((part, accuracy, costs_of(self.space, self.devices, part)))
            self._made.append(parts[-1])
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self.save()
        _, accuracy, costs = (np.concatenate(columns) for columns in zip(*parts))
        return accuracy, costs

    def _enter(self, codes: np.ndarray, accuracy: np.ndarray, costs: np.ndarray, names: np.ndarray) -> None:
        if len(codes) == 0:
            return
        if self.count < HISTORY:
            self._history.append((codes, accuracy))
        self._seen.update(zip(names.tolist(), range(self.count, self.count + len(codes))))
        self._remember(np.column_stack([accuracy, costs]))
        self.count += len(codes)
        fits = overshoot(costs, self.limits) <= 1
        if np.isnan(costs).any():
            self._partial = True
            known = ~np.isnan(costs).any(1)
            codes, accuracy, costs, fits = codes[known], accuracy[known], costs[known], fits[known]
        if len(codes) == 0:
            return
        self.worst = np.maximum(self.worst, [1 - accuracy.min(), *costs.max(0)])
        self.codes = np.concatenate([self.codes, codes[fits]])
        self.accuracy = np.concatenate([self.accuracy, accuracy[fits]])
        self.costs = np.concatenate([self.costs, costs[fits]])
        rows = nondominated(self.accuracy, self.costs)
        self.codes, self.accuracy, self.costs = self.codes[rows], self.accuracy[rows], self.costs[rows]

    def _remember(self, rows: np.ndarray) -> None:
        """Store results behind the `count` known ones, in an array that doubles when it is full."""
        if self.count + len(rows) > len(self._found):
            more = np.zeros((max(len(rows), len(self._found), 1024), self._found.shape[1]))
            self._found = np.concatenate([self._found, more])
        self._found[self.count : self.count + len(rows)] = rows

    def _stop_if_still(self) -> None:
        """Raise `Finished` if the hypervolume has not grown by 0.01 % for `patience` evaluations.

        The hypervolume is computed ten times per `patience`.
        """
        if self.patience is None or self.count - self._looked < self.patience / 10:
            return
        self._looked = self.count
        if not self._corner:
            self._corner = (1.1 * self.worst).tolist()
        volume = hypervolume(self.accuracy, self.costs, self._corner)
        if volume > 1.0001 * self._volume:
            self._volume, self._gained = volume, self.count
        elif self.count - self._gained >= self.patience:
            raise Finished

    def save(self) -> None:
        """Write all results to the file, if there is one, atomically."""
        if self.file is None or not self._made:
            return
        codes, accuracy, costs = (np.concatenate(parts) for parts in zip(*self._made))
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(self._about), codes=codes, accuracy=accuracy, costs=costs)
        write_bytes(self.file, buffer.getvalue())
        self._saved = time.monotonic()

    def _read(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        try:
            with zipfile.ZipFile(str(self.file)) as parts:
                if sum(part.file_size for part in parts.infolist()) > MOST:
                    raise ValueError(f"it unpacks to more than {MOST:,} bytes")
            with np.load(str(self.file), allow_pickle=False) as saved:
                about, codes, accuracy, costs = (saved[n] for n in ("about", "codes", "accuracy", "costs"))
        except Exception as error:
            raise InputError(f"{str(self.file)!r} is not a saved search: {first_line(error)}") from error
        if str(about) != self._about:
            raise InputError(f"{str(self.file)!r} belongs to another search: {about}, not {self._about}")
        n = len(codes) if codes.ndim else 0
        expected = ((n, self.codes.shape[1]), (n,), (n, len(self.devices)))
        kinds = (codes.dtype, accuracy.dtype, costs.dtype) == (np.int8, np.float64, np.float64)
        if (codes.shape, accuracy.shape, costs.shape) != expected or n == 0 or not kinds:
            raise InputError(f"{str(self.file)!r} is not a saved search of space {self.space.name!r}")
        as_codes(self.space, codes)
        if not np.isfinite(accuracy).all() or np.isinf(costs).any():
            raise InputError(f"{str(self.file)!r} is not a saved search: a value is not a number")
        self._check_same(codes[:TRIED], accuracy[:TRIED], costs[:TRIED])
        self._made = [(codes, accuracy, costs)]
        names = hashes(codes)
        order = np.argsort(names, kind="stable")
        return names[order], accuracy[order], costs[order]

    def _check_same(self, codes: np.ndarray, accuracy: np.ndarray, costs: np.ndarray) -> None:
        """Evaluate some saved networks again: a device or evaluator with the same name may have changed."""
        if not np.allclose(costs_of(self.space, self.devices, codes), costs, rtol=1e-3, equal_nan=True):
            raise InputError(
                f"{str(self.file)!r} belongs to another search: the costs of its networks have changed (other devices)"
            )
        if not np.allclose(np.asarray(self.evaluator.evaluate(codes), float), accuracy, rtol=0, atol=1e-3):
            raise InputError(
                f"{str(self.file)!r} belongs to another search: the accuracies of its "
                "networks have changed (another evaluator)"
            )


def ladder(space: SearchSpace, n: int, rng: np.random.Generator) -> np.ndarray:
    """Sample architectures (n, d) of increasing size: from the first option of every decision to the last.

    Uniform samples concentrate in the middle of the range of every cost; these are spread over the whole range.
    """
    last = np.broadcast_to(option_counts(space) - 1, (n, len(space.decisions)))
    return space.canonical(rng.binomial(last, np.linspace(0, 1, n)[:, None]).astype(np.int8))


def hashes(codes: np.ndarray) -> np.ndarray:
    """Hash architectures: (n, d) int8 -> (n,) uint64; two different ones collide with a probability of 5e-20."""
    keys = np.random.default_rng(20_26).integers(1, 2**63, (2, codes.shape[1]), dtype=np.uint64) | np.uint64(1)
    wide = codes.astype(np.uint64) + np.uint64(1)
    high = (wide * keys[0]).sum(1, dtype=np.uint64)
    low = ((wide * wide) * keys[1]).sum(1, dtype=np.uint64)
    mixed = (high ^ (high >> np.uint64(31))) * np.uint64(0x9E3779B97F4A7C15) + low
    return np.asarray(mixed ^ (mixed >> np.uint64(29)))


def first_of_each(names: np.ndarray) -> np.ndarray:
    """Return (n,) bool: True at the first occurrence of every distinct name."""
    mask = np.zeros(len(names), bool)
    mask[np.unique(names, return_index=True)[1]] = True
    return mask
