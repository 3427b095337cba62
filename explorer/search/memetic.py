"""`memetic`: a search of our own, and `random`, the yardstick. numpy only.

An unbounded archive of everything non-dominated (over error and every cost) is varied by mutation and by crossover of
neighbours on the front; and every network that enters it has all its one-gene neighbours tried, once (Pareto local
search, Paquete, Chiarandini and Stuetzle 2004). Canonical duplicates are never evaluated twice.
"""

import numpy as np

from explorer.limits import nearest
from explorer.protocols import Progress
from explorer.search.archive import Archive, hashes, ladder
from explorer.spaces.operators import cross, mutate, neighbours

BATCH = 1000  # at most; a fiftieth of the evaluations where they are few
LOCAL, LOCAL_OF_FEW = 0.2, 0.5  # share of a batch that is local search; with fewer than 10,000 evaluations
NEAR = 5  # crossover partners are at most so many places away along the front
IDLE = 30  # rounds without a new network after which the space counts as exhausted


def memetic(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Fill the archive."""
    space, evaluated_around = archive.space, set[int]()
    if not np.isnan(archive.limits).all():
        archive.offer(nearest(space, archive.devices, archive.limits)[None])
    local = LOCAL if archive.evaluations >= 10_000 else LOCAL_OF_FEW
    batch = int(np.clip(archive.evaluations // 50, 20, BATCH))
    archive.offer(ladder(space, 4 * batch, rng))
    rounds = max(1, -(-archive.left // batch))
    idle = 0
    for _ in progress(range(100 * rounds), rounds, "searching"):
        names = hashes(archive.codes).tolist()
        todo = [i for i, name in enumerate(names) if name not in evaluated_around]
        children = [_varied(archive, int(batch * (1 - local)), rng)]
        size = 0.0
        for i in rng.permutation(len(todo)):
            if size >= local * batch:
                break
            children.append(neighbours(space, archive.codes[todo[i]]))
            evaluated_around.add(names[todo[i]])
            size += len(children[-1])
        idle = 0 if archive.offer(np.concatenate(children)) else idle + 1
        if idle >= IDLE:
            return


def _varied(archive: Archive, n_new: int, rng: np.random.Generator) -> np.ndarray:
    """Mutations of random members, crossings of neighbours, and a few fresh samples."""
    space, n, half = archive.space, len(archive.codes), max(1, n_new // 2)
    if n == 0:
        return space.sample(n_new, rng)
    one = rng.integers(0, n, half)
    other = np.clip(one + rng.integers(-NEAR, NEAR + 1, half), 0, n - 1)
    parents = archive.codes[rng.integers(0, n, half)]
    return np.concatenate([
        mutate(space, parents, 1 / parents.shape[1], rng), cross(space, archive.codes[one], archive.codes[other], rng),
        space.sample(1 + n_new // 40, rng),
    ])  # fmt: skip


def random(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Uniform samples."""
    rounds = -(-archive.evaluations // BATCH)
    for _ in progress(range(2 * rounds), rounds, "searching"):
        archive.offer(archive.space.sample(BATCH, rng))
