"""`memetic`: a search of our own, and `random`, the yardstick. numpy only.

An unbounded archive of everything non-dominated (over error and every cost) is varied by mutation and by crossover of
neighbours on the front; and every network that enters it has all its one-gene neighbours tried, once (Pareto local
search, Paquete, Chiarandini and Stuetzle 2004). Canonical duplicates are never evaluated twice. With fewer than 10,000
evaluations, a guess chooses which children and neighbours are worth one (`screen`).
"""

import numpy as np

from explorer.core.protocols import Progress
from explorer.devices.population import nearest
from explorer.searches.archive import HISTORY, Archive, hashes, ladder
from explorer.searches.screen import promising
from explorer.spaces.operators import cross, mutate, neighbours

BATCH = 1000  # at most; a fiftieth of the evaluations where they are few
LOCAL = 0.2  # share of a batch that is local search
CHOICE = 10  # with few evaluations, so many children are made for one that is evaluated
NEAR = 5  # crossover partners are at most so many places away along the front
IDLE = 30  # rounds without a new network after which the space counts as exhausted


def memetic(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Fill the archive."""
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
    """Mutations of random members, crossings of neighbours, and a few fresh samples."""
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
    """Uniform samples; of a budget the nearest network, too, so that there is one within it."""
    if not np.isnan(archive.limits).all():
        archive.offer(nearest(archive.space, archive.devices, archive.limits)[None])
    rounds = -(-archive.evaluations // BATCH)
    for _ in progress(range(2 * rounds), rounds, "searching"):
        archive.offer(archive.space.sample(BATCH, rng))
