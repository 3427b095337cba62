"""A search: the neighbours of every network of the front, round by round."""

import numpy as np

from explorer.spaces.operators import neighbours


def climb(archive, rng, progress):
    archive.offer(archive.space.sample(min(50, archive.evaluations), rng))
    for _ in progress(range(1000), 1000, "climbing"):
        around = [neighbours(archive.space, row) for row in archive.codes]
        if not archive.offer(np.concatenate(around)):
            return
