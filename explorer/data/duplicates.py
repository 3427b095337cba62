"""Finding photographs that are in a data set more than once: equal pixels, or copies of another size or compression.

Each photograph is compared as a miniature in grey, without its mean and contrast: copies correlate almost perfectly,
also where most of the picture is a plain background. Candidates are then compared in a larger miniature and in their
colours and brightness. A picture without any contrast has no copies but equal ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

COARSE, FINE, COLOURS = 16, 32, 8  # sides of the miniatures
CLOSE, SAME = 0.97, 0.985  # least correlation of coarse and of fine miniatures
LEVELS = 6.0  # copies differ by at most so much in colour, on average over a miniature
FLAT = 2.0  # standard deviation of a miniature below which it shows nothing
BLOCK, PIECE = 512, 4096  # photographs, and pairs, that are compared at once
MOST = 200_000  # pairs that are kept: a folder with more is of one picture


@dataclass(frozen=True)
class Marks:
    """What photographs are compared by.

    Attributes:
        miniatures: (n, FINE * FINE) uint8, in grey.
        colours: (n, COLOURS * COLOURS * 3) uint8.
        digests: (n,) uint64, of all pixels as they are stored.
    """

    miniatures: np.ndarray
    colours: np.ndarray
    digests: np.ndarray


def mark(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the grey and the coloured miniature of (height, width, 3) uint8 pixels."""
    image = Image.fromarray(pixels)
    grey = image.convert("L").resize((FINE, FINE), Image.Resampling.BOX)
    colour = image.resize((COLOURS, COLOURS), Image.Resampling.BOX)
    return np.asarray(grey, np.uint8).ravel(), np.asarray(colour, np.uint8).ravel()


def pairs(marks: Marks) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs (m, 2) of photographs that are duplicates, each i < j, and which are exact (m,) bool."""
    n = len(marks.digests)
    fine = marks.miniatures.astype(np.float32)
    step = FINE // COARSE
    coarse = fine.reshape(n, COARSE, step, COARSE, step).mean((2, 4)).reshape(n, -1)
    flat = fine.std(1) < FLAT
    coarse, fine = _normalised(coarse), _normalised(fine)
    coarse[flat] = 0
    found, count = [_equal(marks.digests)], 0
    for start in range(0, n, BLOCK):
        i, j = np.nonzero(coarse[start : start + BLOCK] @ coarse[start:].T >= CLOSE)
        i, j = i[j > i] + start, j[j > i] + start
        for at in range(0, len(i), PIECE):
            a, b = i[at : at + PIECE], j[at : at + PIECE]
            alike = (fine[a] * fine[b]).sum(1) >= SAME
            a, b = a[alike], b[alike]
            near = np.abs(marks.colours[a].astype(np.int16) - marks.colours[b]).mean(1) <= LEVELS
            found.append(np.stack([a[near], b[near]], 1))
            count += int(near.sum())
        if count > MOST:
            break
    every = np.unique(np.concatenate(found), axis=0)
    return every, marks.digests[every[:, 0]] == marks.digests[every[:, 1]]


def _normalised(values: np.ndarray) -> np.ndarray:
    """Take the mean out of every row and bring it to length 1, so that products of rows are correlations."""
    centred = values - values.mean(1, keepdims=True)
    return np.asarray(centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6))


def _equal(digests: np.ndarray) -> np.ndarray:
    """Return pairs (m, 2) that connect all photographs of equal pixels: each with the next one."""
    order = np.argsort(digests, kind="stable")
    same = digests[order[1:]] == digests[order[:-1]]
    return np.sort(np.stack([order[:-1][same], order[1:][same]], 1), axis=1).reshape(-1, 2)


def groups(n: int, found: np.ndarray) -> np.ndarray:
    """Return the group (n,) of every photograph: duplicates, and duplicates of those, are in one."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(len(found), bool), (found[:, 0], found[:, 1])), shape=(n, n))
    return np.asarray(connected_components(edges, directed=False)[1])
