"""How figures of docs/ are read and written down: tables, shares, and the mean of several runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.core.files import read_json

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
