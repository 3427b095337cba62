"""`memetic`: an archive of everything non-dominated, varied by mutation and crossover, finished by local search.

Parents are the archive itself (over error and every cost), so no budget has to be named beforehand. Canonical
duplicates are never evaluated twice.
"""

from collections.abc import Sequence

import numpy as np

from explorer.front import nondominated
from explorer.protocols import Device, Evaluator, Progress, SearchSpace
from explorer.spaces.operators import cross, mutate, neighbours, unique

BATCH = 1000
PARENTS = 400  # of a larger archive, a random part has children


class Archive:
    """All non-dominated architectures so far, and the keys of all evaluated ones."""

    def __init__(self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device]) -> None:
        self.space, self.evaluator, self.devices = space, evaluator, devices
        self.codes = np.zeros((0, len(space.decisions)), np.int8)
        self.accuracy, self.costs = np.zeros(0), np.zeros((0, len(devices)))
        self.seen: set[bytes] = set()
        self.worst = np.zeros(1 + len(devices))

    def offer(self, codes: np.ndarray, limit: int) -> int:
        """Evaluate what is new, at most `limit` of it; returns how many were evaluated."""
        codes = unique(codes)
        fresh = np.array([row.tobytes() not in self.seen for row in codes], bool)
        codes = codes[fresh][:limit]
        if len(codes) == 0:
            return 0
        self.seen.update(row.tobytes() for row in codes)
        accuracy = self.evaluator.evaluate(codes)
        costs = np.column_stack([device.cost(self.space, codes) for device in self.devices])
        self.worst = np.maximum(self.worst, [1 - accuracy.min(), *costs.max(0)])
        self.codes = np.concatenate([self.codes, codes])
        self.accuracy = np.concatenate([self.accuracy, accuracy])
        self.costs = np.concatenate([self.costs, costs])
        rows = nondominated(self.accuracy, self.costs)
        self.codes, self.accuracy, self.costs = self.codes[rows], self.accuracy[rows], self.costs[rows]
        return len(codes)


def memetic(archive: Archive, evaluations: int, rng: np.random.Generator, progress: Progress) -> None:
    """Fill the archive with at most `evaluations` evaluations."""
    space = archive.space
    left = evaluations - archive.offer(space.sample(min(evaluations, 4 * BATCH), rng), evaluations)
    rounds = max(1, -(-left // BATCH))
    for _ in progress(range(3 * rounds), 3 * rounds, "searching"):
        if left <= 0:
            break
        n = len(archive.codes)
        chosen = np.sort(rng.permutation(n)[:PARENTS])
        parents = archive.codes[chosen[rng.integers(0, len(chosen), BATCH)]]
        near = np.clip(rng.integers(0, n, BATCH // 2) + rng.integers(-5, 6, BATCH // 2), 0, n - 1)
        partners = archive.codes[near]
        children = [
            mutate(space, parents[: BATCH // 2], 1.5 / parents.shape[1], rng),
            cross(space, parents[BATCH // 2 :], partners, rng),
            neighbours(space, archive.codes[rng.integers(0, n)]),
        ]
        left -= archive.offer(np.concatenate(children), left)


def random(archive: Archive, evaluations: int, rng: np.random.Generator, progress: Progress) -> None:
    """Uniform samples: the yardstick."""
    left = evaluations
    rounds = -(-evaluations // BATCH)
    for _ in progress(range(2 * rounds), 2 * rounds, "searching"):
        if left <= 0:
            break
        left -= archive.offer(archive.space.sample(min(BATCH, left), rng), left)
