"""A folder of photographs as a data set: files found, read, compared with each other, and divided into parts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.core.protocols import Progress, silent
from explorer.data.about import About, Duplicates
from explorer.data.duplicates import groups, pairs
from explorer.data.layouts import Listing, listing
from explorer.data.prepared import Prepared, prepare
from explorer.data.splits import counts, split_rows

if TYPE_CHECKING:
    from explorer.data.datasets import Images, Split

SHOWN = 20  # pairs of duplicates that are listed


class Folder:
    """A folder of photographs, read and divided into parts.

    Args:
        path: a folder, an archive or a list.
        seed: seed of the parts that are drawn.
        size: height and width of the images in pixels.
        skip_broken: leave out damaged files instead of refusing them.
        progress: reports files that are read for the first time.

    Attributes:
        names: (n,) paths of the photographs below the folder.
        classes: names of the classes, sorted.
        labels: (n,) class of every photograph.
        rows: "train", "val" and "test" -> photographs, in random order.
    """

    def __init__(
        self, path: Path, seed: int, size: int, skip_broken: bool = False, progress: Progress = silent
    ) -> None:
        found: Listing = listing(path)
        self.prepared: Prepared = prepare(found, size, skip_broken, progress)
        self.listing = found
        files = [found.files[i] for i in self.prepared.kept]
        self.names = [file.name for file in files]
        self.classes = sorted({file.label for file in files})
        place = {name: i for i, name in enumerate(self.classes)}
        self.labels = np.array([place[file.label] for file in files])
        self.pairs, self.exact = pairs(self.prepared.marks)
        together = groups(len(files), self.pairs)
        self.rows = split_rows(self.labels, [file.split for file in files], together, self.classes, seed)

    def about(self) -> About:
        """Collect what is shown before anything is trained."""
        part = np.empty(len(self.labels), "<U5")
        for split, rows in self.rows.items():
            part[rows] = split
        i, j = self.pairs.T

        def crossing(split: str, other: str) -> int:
            return len({*i[(part[i] == split) & (part[j] == other)], *j[(part[j] == split) & (part[i] == other)]})

        across = {split: crossing(split, "train") for split in ("val", "test")} | {
            "test in val": crossing("test", "val")
        }
        other = self.labels[i] != self.labels[j]
        both = [(self.names[a], self.names[b]) for a, b in self.pairs]
        sizes = self.prepared.originals
        order = np.argsort(sizes.prod(1), kind="stable")
        chosen = {"smallest": order[0], "median": order[len(order) // 2], "largest": order[-1]}
        return About(
            self.listing.layout, counts(self.labels, self.rows, self.classes), self.prepared.skipped,
            self.listing.empty,
            Duplicates(
                int(self.exact.sum()), int((~self.exact).sum()), across,
                tuple(pair for pair, two in zip(both, other) if two), tuple(both[:SHOWN]),
            ),
            {name: (int(sizes[at][0]), int(sizes[at][1])) for name, at in chosen.items()}, self.prepared.deep,
        )  # fmt: skip

    def images(self, name: str) -> Images:
        """Return the data set, its pixels as memory maps. Needs torch."""
        import torch

        from explorer.data.datasets import Images, Split
        from explorer.data.photos import Photos

        p, order = self.prepared, np.concatenate([self.rows[s] for s in ("train", "val", "test")])
        crops, labels = torch.from_numpy(p.crops(order)), torch.from_numpy(self.labels[order])
        whole = Photos(p.pixels, p.starts, p.shapes, p.channels, order)
        ends = np.cumsum([0, *(len(self.rows[s]) for s in ("train", "val", "test"))])

        def part(k: int) -> Split:
            at = slice(int(ends[k]), int(ends[k + 1]))
            return Split(crops[at], labels[at], whole.take(at))

        total, square = p.sums[self.rows["train"]].sum(0) / (len(self.rows["train"]) * p.size**2)
        spread = np.sqrt(np.maximum(square - total**2, 0))
        mark = hashlib.sha256("\n".join(self.classes).encode())
        mark.update(p.marks.digests[order].tobytes() + labels.numpy().tobytes() + ends.tobytes())
        return Images(
            name, tuple(self.classes), part(0), part(1), part(2), tuple(float(v) for v in total),
            tuple(float(max(v, 1e-3)) for v in spread), mark.hexdigest(), self.about(),
        )  # fmt: skip
