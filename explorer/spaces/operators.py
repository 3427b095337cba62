"""Operations on populations, for any space: sample, mutate, cross over, encode one-hot, find active genes.

They use a space only through its protocol (`decisions`, `canonical`), so they work with every space. Populations are
int8 arrays (n, d); everything here is array arithmetic.
"""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from explorer.core.protocols import SearchSpace


@runtime_checkable
class TellsActive(Protocol):
    """A space that computes directly which genes are active."""

    def active(self, codes: np.ndarray) -> np.ndarray:
        """Mark the active genes: (n, d) int8 -> (n, d) bool."""


def option_counts(space: SearchSpace) -> np.ndarray:
    """Return the number of options of each decision, (d,)."""
    return np.array([len(options) for options in space.decisions.values()])


def sample_uniform(space: SearchSpace, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw n canonical architectures, (n, d) int8, with every gene uniform and independent."""
    counts = option_counts(space)
    return space.canonical(rng.integers(0, counts, (n, len(counts))).astype(np.int8))


def mutate(space: SearchSpace, codes: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Redraw each gene uniformly with probability `rate`; (n, d) -> (n, d), canonical."""
    counts = option_counts(space)
    fresh = rng.integers(0, counts, codes.shape).astype(np.int8)
    return space.canonical(np.where(rng.random(codes.shape) < rate, fresh, codes))


def cross(space: SearchSpace, a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cross two populations of the same shape (n, d), gene by gene at random; the result is canonical."""
    return space.canonical(np.where(rng.random(a.shape) < 0.5, a, b).astype(np.int8))


def active(space: SearchSpace, codes: np.ndarray) -> np.ndarray:
    """Mark the genes that affect the network, (n, d) bool.

    A gene is active where changing it changes the canonical form.
    """
    if isinstance(space, TellsActive):
        return np.asarray(space.active(codes))
    counts = option_counts(space)
    base = space.canonical(codes)
    mask = np.zeros(codes.shape, bool)
    for gene in range(codes.shape[1]):
        changed = base.copy()
        changed[:, gene] = (changed[:, gene] + 1) % counts[gene]
        mask[:, gene] = (space.canonical(changed) != base).any(1)
    return mask


def written(space: SearchSpace, codes: np.ndarray) -> np.ndarray:
    """Mark the genes that a generator must choose, given those chosen so far, (n, d) bool.

    A space with its own `active` knows this early, from a stage's depth. For any other space every gene is chosen, and
    `canonical` resets those that have no effect.
    """
    return np.asarray(space.active(codes)) if isinstance(space, TellsActive) else np.ones(codes.shape, bool)


def one_hot(space: SearchSpace, codes: np.ndarray) -> np.ndarray:
    """Encode architectures for predictors: (n, D) float32, one bit per option, inactive genes all zero.

    A space may leave out genes that follow from others (`encoded` lists the positions that are kept). The mobile family
    leaves out depth, as once-for-all's 128-d encoding does (Cai et al. 2020: 120 bits and the resolution).
    """
    counts = option_counts(space)
    genes: Sequence[int] = getattr(space, "encoded", range(len(counts)))
    on = active(space, codes)
    offsets = np.concatenate([[0], np.cumsum([counts[g] for g in genes])])
    bits = np.zeros((len(codes), int(offsets[-1])), np.float32)
    rows = np.arange(len(codes))
    for offset, gene in zip(offsets, genes):
        bits[rows, offset + codes[:, gene]] = on[:, gene]
    return bits


def unique(codes: np.ndarray) -> np.ndarray:
    """Drop repeated rows, keeping the order of first appearance."""
    _, first = np.unique(codes, axis=0, return_index=True)
    return codes[np.sort(first)]


def neighbours(space: SearchSpace, codes: np.ndarray) -> np.ndarray:
    """Return every architecture one gene away from `codes`: (d,) -> (N, d), canonical, `codes` itself first."""
    counts = option_counts(space)
    rows = [codes]
    for gene, count in enumerate(counts):
        for option in range(count):
            if option != codes[gene]:
                row = codes.copy()
                row[gene] = option
                rows.append(row)
    return space.canonical(np.array(rows, np.int8))
