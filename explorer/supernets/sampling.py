"""Which subnets a training step runs: `uniform` and `sandwich`.

A rule is a function of the space, the step's random generator and the number of random subnets. It returns a population
(k, d) int8; in `sandwich` the first row is the largest network, the teacher of the others (Yu et al. 2020, BigNAS).
"""

from collections.abc import Callable

import numpy as np

from explorer.protocols import SearchSpace
from explorer.spaces.operators import option_counts

SamplingRule = Callable[[SearchSpace, np.random.Generator, int], np.ndarray]


def largest(space: SearchSpace) -> np.ndarray:
    """(d,) int8: the last option everywhere."""
    return (option_counts(space) - 1).astype(np.int8)


def smallest(space: SearchSpace) -> np.ndarray:
    """(d,) int8: the first option everywhere."""
    return np.zeros(len(space.decisions), np.int8)


def uniform(space: SearchSpace, rng: np.random.Generator, random: int) -> np.ndarray:
    """`random` subnets, every gene uniform; no teacher."""
    return space.sample(random, rng)


def sandwich(space: SearchSpace, rng: np.random.Generator, random: int) -> np.ndarray:
    """The largest, the smallest and `random` subnets between them."""
    return np.concatenate([[largest(space), smallest(space)], space.sample(random, rng)])


RULES: dict[str, SamplingRule] = {"uniform": uniform, "sandwich": sandwich}
