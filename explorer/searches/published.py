"""The published algorithms, from pymoo: NSGA-II, SMS-EMOA, SPEA2. The only module that imports pymoo's algorithms.

Operators are OFA2's: categorical genes, uniform crossover with probability 1, every gene redrawn with probability 0.1,
canonical duplicates removed, population 100 (Ito and Von Zuben 2023). With fewer than 10,000 evaluations, the size of
the population is the square root of their number, and the initial population spans all sizes (`archive.ladder`). Whole
generations are evaluated as arrays.
"""

import copy
from typing import Any

import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.algorithms.moo.sms import SMSEMOA
from pymoo.algorithms.moo.spea2 import SPEA2
from pymoo.core.crossover import Crossover
from pymoo.core.duplicate import DuplicateElimination
from pymoo.core.evaluator import Evaluator as Assign
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.core.sampling import Sampling
from pymoo.core.termination import NoTermination
from pymoo.problems.static import StaticProblem

from explorer.core.protocols import Progress, SearchSpace
from explorer.searches.archive import Archive, first_of_each, hashes, ladder
from explorer.spaces.operators import mutate

POPULATION, MUTATION = 100, 0.1

PUBLISHED = {"nsga2": NSGA2, "sms-emoa": SMSEMOA, "spea2": SPEA2}


class _Sample(Sampling):
    def __init__(self, space: SearchSpace) -> None:
        super().__init__()
        self.space = space

    def _do(
        self, problem: object, n_samples: int, *args: object, random_state: Any = None, **kwargs: object
    ) -> np.ndarray:
        if n_samples < POPULATION:
            return ladder(self.space, n_samples, random_state)
        return np.asarray(self.space.sample(n_samples, random_state))


class _Cross(Crossover):
    def __init__(self, space: SearchSpace) -> None:
        super().__init__(2, 2, prob=1.0)
        self.space = space

    def _do(
        self, problem: object, X: np.ndarray, *args: object, random_state: Any = None, **kwargs: object
    ) -> np.ndarray:
        a, b = X.astype(np.int8)
        own = random_state.random(a.shape) < 0.5
        return np.stack([self.space.canonical(np.where(own, *pair)) for pair in ((a, b), (b, a))])


class _Mutate(Mutation):
    def __init__(self, space: SearchSpace) -> None:
        super().__init__(prob=1.0)
        self.space = space

    def _do(
        self, problem: object, X: np.ndarray, *args: object, random_state: Any = None, **kwargs: object
    ) -> np.ndarray:
        return mutate(self.space, X.astype(np.int8), MUTATION, random_state)


class _Distinct(DuplicateElimination):
    """Removal of duplicates by hash: rows are canonical, so equal networks have equal rows."""

    def _do(self, pop: Any, other: Any, is_duplicate: np.ndarray) -> np.ndarray:
        names = hashes(pop.get("X").astype(np.int8))
        return ~first_of_each(names) if other is None else np.isin(names, hashes(other.get("X").astype(np.int8)))


def published(name: str, archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
    """Run one of the algorithms in `PUBLISHED` until the archive is full.

    Budgets are constraints: networks over a budget rank below all others, by how far they are over it.
    """
    limits = archive.limits
    bounded = np.flatnonzero(~np.isnan(limits))
    problem = Problem(
        n_var=archive.codes.shape[1], n_obj=1 + len(limits), n_ieq_constr=len(bounded), xl=0, xu=127, vtype=int
    )
    population = int(np.clip(np.sqrt(archive.evaluations), min(10, archive.evaluations), POPULATION))
    algorithm = PUBLISHED[name](
        pop_size=population, sampling=_Sample(archive.space), crossover=_Cross(archive.space),
        mutation=_Mutate(archive.space), eliminate_duplicates=_Distinct(),
    )  # fmt: skip
    algorithm.survival = copy.deepcopy(algorithm.survival)  # pymoo's default is one object, with state, for all runs
    algorithm.setup(problem, termination=NoTermination(), seed=int(rng.integers(2**31)), verbose=False)
    generations = max(1, archive.evaluations // population)
    for _ in progress(range(5 * generations), generations, f"searching ({name})"):
        asked = algorithm.ask()
        if asked is None or len(asked) == 0:
            return
        accuracy, costs = archive.evaluate(asked.get("X").astype(np.int8))
        unpriced = np.isnan(costs).any(1)
        if unpriced.any():  # dominated by every other network, without a value that would distort crowding distances
            accuracy, costs = np.where(unpriced, 0.0, accuracy), np.where(unpriced[:, None], archive.worst[1:], costs)
        found = {"F": np.column_stack([1 - accuracy, costs])}
        if len(bounded):
            found["G"] = costs[:, bounded] / limits[bounded] - 1
        Assign().eval(StaticProblem(problem, **found), asked)
        algorithm.tell(infills=asked)
        archive.population = algorithm.pop.get("X").astype(np.int8)
