"""Preselection of children where evaluations are few: their costs are known beforehand, their accuracy is predicted.

A child's accuracy is predicted by ridge regression on the one-hot codes of the networks evaluated so far. Its worth is
the amount by which that prediction exceeds the accuracy of the best known network that costs no more.
"""

import numpy as np

from explorer.devices.population import costs_of, overshoot
from explorer.searches.archive import Archive
from explorer.spaces.operators import one_hot, unique

RIDGE = 0.1  # ridge penalty, for standardised accuracies
SURE = 0.7  # share that is selected by worth; the rest is random, so that wrong predictions are corrected


def promising(archive: Archive, children: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Select at most n promising networks among the canonical children (c, d) that have not been evaluated before."""
    children = archive.fresh(unique(children))
    if len(children) <= n:
        return children
    codes, accuracy = archive.history
    mean, spread = accuracy.mean(), max(float(accuracy.std()), 1e-9)
    bits, asked = one_hot(archive.space, codes), one_hot(archive.space, children)
    bits, asked = (np.column_stack([b, np.ones(len(b))]) for b in (bits, asked))
    gram = bits.T @ bits + RIDGE * np.eye(bits.shape[1])
    guess = mean + spread * (asked @ np.linalg.solve(gram, bits.T @ ((accuracy - mean) / spread)))
    costs = costs_of(archive.space, archive.devices, children)
    no_dearer = np.all(archive.costs[None] <= costs[:, None], axis=2)
    worth = guess - np.where(no_dearer, archive.accuracy[None], accuracy.min()).max(1)
    worth = np.where(overshoot(costs, archive.limits[None]) <= 1, worth, -np.inf)
    order = np.argsort(-worth, kind="stable")
    sure = int(SURE * n)
    return children[np.concatenate([order[:sure], rng.permutation(order[sure:])[: n - sure]])]
