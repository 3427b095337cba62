"""Which subnets a training step runs: `uniform`, `sandwich` and `forced`.

A rule is a function of the space, the seed, the step and the number of random subnets. It returns a population
(k, d) int8; in `sandwich` the first row is the largest network, the teacher of the others (Yu et al. 2020, BigNAS).
"""

from collections.abc import Callable

import numpy as np

from explorer.core.errors import InputError
from explorer.core.protocols import SearchSpace
from explorer.spaces import UnifiedSpace
from explorer.spaces.operators import option_counts

SamplingRule = Callable[[SearchSpace, int, int, int], np.ndarray]


def largest(space: SearchSpace) -> np.ndarray:
    """(d,) int8: the last option everywhere."""
    return (option_counts(space) - 1).astype(np.int8)


def smallest(space: SearchSpace) -> np.ndarray:
    """(d,) int8: the first option everywhere."""
    return np.zeros(len(space.decisions), np.int8)


def uniform(space: SearchSpace, seed: int, step: int, random: int) -> np.ndarray:
    """`random` subnets, every gene uniform; no teacher."""
    return space.sample(random, np.random.default_rng((seed, 1, step)))


def sandwich(space: SearchSpace, seed: int, step: int, random: int) -> np.ndarray:
    """The largest, the smallest and `random` subnets between them."""
    return np.concatenate([[largest(space), smallest(space)], uniform(space, seed, step, random)])


def forced(space: SearchSpace, seed: int, step: int, random: int) -> np.ndarray:
    """Fair subnets of a unified space (SGNAS, section 3.2): every option is used equally.

    Every block walks through shuffled lists of the numbers of sub-blocks, without replacement, with a random subset of
    that size (the published code leaves out the number 1, which its space has: such networks were never trained);
    every sub-block walks through shuffled lists of its kernels. Rows are not canonical:
    they say which sub-blocks run.

    Raises:
        InputError: a space of another family.
    """
    if not isinstance(space, UnifiedSpace):
        raise InputError(f"rule 'forced' needs a space of unified blocks, not {space.name!r}")
    blocks, places, kernels = len(space.widths), space.subblocks, len(space.kernels)
    rows = []
    for at in range(step * random, (step + 1) * random):
        size = 1 + _walk(seed, 21, at, blocks, places)
        kernel = 1 + _walk(seed, 22, at, blocks * places, kernels).reshape(blocks, places)
        # a random subset: the sub-blocks with the lowest of random numbers; the first one is never skipped
        order = np.random.default_rng((seed, 23, at)).random((blocks, places))
        order[:, 0] = -1
        ranks = np.where(order.argsort(1).argsort(1) < size[:, None], kernel, 0)
        ranks[:, 0] -= 1
        rows.append(ranks.ravel())
    return np.array(rows, np.int8)


def _walk(seed: int, stream: int, at: int, walkers: int, options: int) -> np.ndarray:
    """(walkers,) the option of every walker at a place of its walk: shuffled lists, one after the other."""
    lists = np.random.default_rng((seed, stream, at // options)).random((walkers, options)).argsort(1)
    return np.asarray(lists[:, at % options])


RULES: dict[str, SamplingRule] = {"uniform": uniform, "sandwich": sandwich, "forced": forced}
