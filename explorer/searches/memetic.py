"""`memetic`, our own search algorithm, and `random`, the baseline. numpy only.

`memetic` keeps an unbounded archive of all non-dominated networks (over error and every cost). Children come from
mutation and from crossover of neighbours on the front; in addition, all one-gene neighbours of every network that
enters the archive are tried once (Pareto local search, Paquete, Chiarandini and Stuetzle 2004). Canonical duplicates
are never evaluated twice. With fewer than 10,000 evaluations, predicted accuracies decide which children and neighbours
are evaluated (`screen`).
"""

import numpy as np

from explorer.core.protocols import Progress
from explorer.devices.population import nearest
from explorer.searches.archive import HISTORY, Archive, hashes, ladder
from explorer.searches.screen import promising
from explorer.spaces.operators import cross, mutate, neighbours

BATCH = 1000  # largest number of evaluations per round; a fiftieth of all evaluations if that is less
LOCAL = 0.2  # share of a batch that comes from local search
CHOICE = 10  # with few evaluations, number of children that are generated per evaluated one
NEAR = 5  # crossover partners are at most this many positions apart along the front
IDLE = 30  # rounds without a new network after which the search ends: the space counts as exhausted


def memetic(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Run the memetic search until the archive is full, or until no new networks are found."""
    space, evaluated_around = archive.space, set[int]()
    if not np.isnan(archive.limits).all():
        archive.offer(nearest(space, archive.devices, archive.limits)[None])
    batch = int(np.clip(archive.evaluations // 50, 10, BATCH))
    drawn = batch * CHOICE if archive.evaluations < HISTORY else batch
    archive.offer(ladder(space, 4 * batch, rng))
    rounds = max(1, -(-archive.left // batch))
    idle = 0
    for _ in progress(range(100 * rounds), rounds, "searching"):
        names = hashes(archive.codes).tolist()
        todo = [i for i, name in enumerate(names) if name not in evaluated_around]
        children, size = [_varied(archive, int(drawn * (1 - LOCAL)), rng)], 0
        for i in rng.permutation(len(todo)):
            if size >= LOCAL * drawn:
                break
            children.append(neighbours(space, archive.codes[todo[i]]))
            size += len(children[-1])
            if drawn == batch:  # all of them are evaluated now
                evaluated_around.add(names[todo[i]])
        offered = np.concatenate(children)
        found = archive.offer(offered if drawn == batch else promising(archive, offered, batch, rng))
        idle = 0 if found else idle + 1
        if idle >= IDLE:
            return


def _varied(archive: Archive, n: int, rng: np.random.Generator) -> np.ndarray:
    """Generate about n children: mutations of random members, crossovers of neighbours, and a few random samples."""
    space, members, half = archive.space, len(archive.codes), max(1, n // 2)
    if members == 0:
        return space.sample(n, rng)
    one = rng.integers(0, members, half)
    other = np.clip(one + rng.integers(-NEAR, NEAR + 1, half), 0, members - 1)
    parents = archive.codes[rng.integers(0, members, half)]
    return np.concatenate([
        mutate(space, parents, 1 / parents.shape[1], rng), cross(space, archive.codes[one], archive.codes[other], rng),
        space.sample(1 + n // 40, rng),
    ])  # fmt: skip


def random(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Sample networks uniformly; with budgets, first evaluate the network nearest to them, so that one meets them."""
    if not np.isnan(archive.limits).all():
        archive.offer(nearest(archive.space, archive.devices, archive.limits)[None])
    rounds = -(-archive.evaluations // BATCH)
    for _ in progress(range(2 * rounds), rounds, "searching"):
        archive.offer(archive.space.sample(BATCH, rng))
