"""Sampling rules: which subnets a training step trains (`uniform`, `sandwich`, `forced`).

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
    """Return the largest architecture, (d,) int8: the last option of every decision."""
    return (option_counts(space) - 1).astype(np.int8)


def smallest(space: SearchSpace) -> np.ndarray:
    """Return the smallest architecture, (d,) int8: the first option of every decision."""
    return np.zeros(len(space.decisions), np.int8)


def uniform(space: SearchSpace, seed: int, step: int, random: int) -> np.ndarray:
    """Sample `random` subnets uniformly; there is no teacher."""
    return space.sample(random, np.random.default_rng((seed, 1, step)))


def sandwich(space: SearchSpace, seed: int, step: int, random: int) -> np.ndarray:
    """Return the largest subnet, the smallest one and `random` uniformly sampled ones, in this order."""
    return np.concatenate([[largest(space), smallest(space)], uniform(space, seed, step, random)])


def forced(space: SearchSpace, seed: int, step: int, random: int) -> np.ndarray:
    """Sample `random` subnets of a unified space fairly: every option is used equally often (SGNAS, section 3.2).

    The number of sub-blocks of a block is drawn without replacement (all numbers in random order, then again), and a
    random subset of that size runs; the kernel of every sub-block is drawn in the same way. The published code never
    draws the number 1, though its space contains it, so such networks were never trained. Rows are not canonical: they
    say which sub-blocks run.

    Raises:
        InputError: the space is not a `UnifiedSpace`.
    """
    if not isinstance(space, UnifiedSpace):
        raise InputError(f"rule 'forced' needs a space of unified blocks, not {space.name!r}")
    blocks, places, kernels = len(space.widths), space.subblocks, len(space.kernels)
    rows = []
    for at in range(step * random, (step + 1) * random):
        size = 1 + _walk(seed, 21, at, blocks, places)
        kernel = 1 + _walk(seed, 22, at, blocks * places, kernels).reshape(blocks, places)
        # a random subset: the sub-blocks with the lowest random numbers; the first one is never skipped
        order = np.random.default_rng((seed, 23, at)).random((blocks, places))
        order[:, 0] = -1
        ranks = np.where(order.argsort(1).argsort(1) < size[:, None], kernel, 0)
        ranks[:, 0] -= 1
        rows.append(ranks.ravel())
    return np.array(rows, np.int8)


def _walk(seed: int, stream: int, at: int, walkers: int, options: int) -> np.ndarray:
    """Return the option of every walker at position `at`, (walkers,): a walk is one shuffled list after another."""
    lists = np.random.default_rng((seed, stream, at // options)).random((walkers, options)).argsort(1)
    return np.asarray(lists[:, at % options])


RULES: dict[str, SamplingRule] = {"uniform": uniform, "sandwich": sandwich, "forced": forced}
