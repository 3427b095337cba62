"""Drawing training, validation and test parts: stratified by class, with duplicates in one part.

Parts that are given stay as they are; only missing ones are drawn, from the training part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from explorer.core.errors import InputError
from explorer.data.spelling import SPLITS

SHARE = 0.15  # of the photographs, for validation and for test each, where no part says otherwise


def split_rows(
    labels: np.ndarray, given: Sequence[str], groups: np.ndarray, classes: Sequence[str], seed: int
) -> dict[str, np.ndarray]:
    """Divide photographs into parts.

    Args:
        labels: (n,) class of every photograph.
        given: (n,) "train", "val", "test", or "" where no part is given.
        groups: (n,) photographs of one group are drawn into one part.
        classes: names of the classes, for messages.
        seed: seed of the draw and of the order within every part.

    Returns:
        "train", "val" and "test" -> rows, in random order.

    Raises:
        InputError: a class is missing in the training part, or parts are given for some photographs only.
    """
    parts = np.array(given, dtype="<U5")
    named = parts != ""
    if named.any() and not named.all():
        raise InputError(
            f"a part (training, validation, test) is given for {named.sum():,} of {len(parts):,} photographs; give it "
            "for all or for none of them"
        )
    rng = np.random.default_rng(seed)
    known = [s for s in SPLITS if (parts == s).any()]
    parts = np.where(named, parts, "train")
    missing = [s for s in ("val", "test") if s not in known]
    shares = _shares(parts, known, missing)
    order = np.argsort(groups, kind="stable")
    inside = dict(zip(np.unique(groups).tolist(), np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)))
    for label, name in enumerate(classes):
        rows = np.flatnonzero((labels == label) & (parts == "train"))
        if not len(rows):
            raise InputError(f"class {name!r} has no photograph in the training part")
        if shares:
            _draw(parts, rows, groups, inside, shares, rng)
    order = rng.permutation(len(parts))
    return {s: order[parts[order] == s] for s in SPLITS}


def _shares(parts: np.ndarray, known: Sequence[str], missing: Sequence[str]) -> dict[str, float]:
    """Return the share of the training part that each missing part takes: as much as a given one has, or 15 %."""
    other = next((s for s in ("val", "test") if s in known), None)
    share = SHARE if other is None else float(np.clip((parts == other).sum() / (parts == "train").sum(), 0.05, 0.2))
    return dict.fromkeys(missing, share)


def _draw(
    parts: np.ndarray, rows: np.ndarray, groups: np.ndarray, inside: dict[int, np.ndarray], shares: dict[str, float],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Move groups of one class to the missing parts, in place, until each has its share, at least one photograph.

    `inside` has the rows of every group. A group with photographs of two classes stays where the first class put it.
    Only a class that has too few different photographs for all parts has copies of one in several parts; one that has
    too few photographs is missing in the last parts (`About.warnings` names it).
    """
    every = rng.permutation(np.unique(groups[rows])).tolist()
    free = [inside[g] for g in every if (parts[inside[g]] == "train").all()]
    if len(every) < len(shares) + 1:
        free = [rows[[i]] for i in rng.permutation(len(rows))]
    own = set(rows.tolist())
    sizes = {id(members): len(own.intersection(members.tolist())) for members in free}
    for split, share in shares.items():
        wanted, taken = max(1, round(share * len(rows))), 0
        while taken < wanted and len(free) > 1:
            fits = [k for k, members in enumerate(free) if sizes[id(members)] <= wanted - taken]
            if not fits and taken:
                break
            # a group that is larger than what is missing stays in training, unless nothing smaller is there
            k = fits[-1] if fits else min(range(len(free)), key=lambda k: sizes[id(free[k])])
            members = free.pop(k)
            taken += sizes[id(members)]
            parts[members] = split


def counts(labels: np.ndarray, rows: dict[str, np.ndarray], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return class -> {"train", "val", "test"} -> number of photographs."""
    every = {s: np.bincount(labels[at], minlength=len(classes)) for s, at in rows.items()}
    return {name: {s: int(every[s][i]) for s in SPLITS} for i, name in enumerate(classes)}
