"""Measured ranking quality and time of scores that replace training, from tables in the package. No torch.

Networks of three spaces were trained from scratch on fashion-mnist (the truth) and scored by zero-cost scores, by
random weights and by short trainings (`python -m tests.benchmarks.ladder`).
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from explorer.core.errors import InputError, unknown
from explorer.core.files import data_folder
from explorer.evaluators.agreement import TERCILES, agreement, mean_rank

TOGETHER = (("parameters", "all, its loss"), ("naswot", "all, its loss"))  # scores to combine, see `mean_rank`


def ladder(space: str, folder: str | Path | None = None) -> pd.DataFrame:
    """Return how well every score ranks networks that were trained from scratch (Kendall's tau), and its time.

    Args:
        space: "mobile-32", "nasbench201" or "darts".
        folder: folder with `truth.csv` and `scores.csv`; None for the tables in the package.

    Returns:
        One row per score, as `agreement` gives it, with two more columns: "seconds" per network on one core, and
        "inside", the mean tau within the terciles of MACs.

    Raises:
        InputError: the space was not measured, or a table is missing.
    """
    home = data_folder("ladder") if folder is None else Path(folder)
    try:
        truth, scores = (pd.read_csv(home / f"{name}.csv", dtype={"key": str}) for name in ("truth", "scores"))
    except OSError as error:
        raise InputError(f"{error.filename!r}: {error.strerror}") from error
    known = list(dict.fromkeys(scores["space"]))
    if space not in known:
        raise unknown("measured space", space, known)
    truth = truth[truth["space"] == space].set_index("key")
    scores = scores[scores["space"] == space]
    values = {"MACs": truth["macs_m"].to_numpy(), "parameters": truth["params_m"].to_numpy()}
    for name, rows in scores.groupby("rung", sort=False):
        values[str(name)] = rows.set_index("key")["score"].reindex(truth.index).to_numpy()
    together = {" + ".join(names): names for names in TOGETHER if set(names) <= set(values)}
    values |= {name: mean_rank(*(values[part] for part in parts)) for name, parts in together.items()}
    found = agreement(values, truth["accuracy"].to_numpy(), truth["macs_m"].to_numpy())
    seconds = scores.groupby("rung")["seconds"].first()
    cost = {name: sum(float(seconds.get(part, 0.0)) for part in together.get(name, (name,))) for name in found.index}
    found.insert(0, "seconds", pd.Series(cost))
    found.insert(5, "inside", found[list(TERCILES)].mean(axis=1))
    return found
