"""How figures of docs/ are read and written down: tables, shares, and the mean of several runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.core.files import read_json
from explorer.study import open_study

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def csv(name: str) -> pd.DataFrame:
    """One of docs/."""
    return pd.read_csv(DOCS / name)


def bench(part: str) -> dict[str, dict[str, float]]:
    """One part of the committed run of `explorer bench`."""
    return read_json(DOCS / "bench.json")["parts"][part]


def spread(values: Sequence[float], form: str = "{:.2%}") -> str:
    """Mean (least to most)."""
    return f"{form.format(np.mean(values))} ({form.format(min(values))} to {form.format(max(values))})"


def share(value: float) -> str:
    """Of a hypervolume."""
    return f"{value:.4f}"


def training(study: str) -> dict[str, str]:
    """Generator -> what its training asked of the evaluator, with the searched fronts that it imitated."""
    opened = open_study(study)
    rows = opened.compare_generators(opened.targets[0], 2).itertuples()
    return {r.generator: "not recorded" if np.isnan(r.evaluations) else f"{r.evaluations:,.0f}" for r in rows}
