"""A chart of accuracies over costs as one small SVG."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#555555")  # Okabe and Ito's, to be told apart by all
LEFT, RIGHT, TOP, BOTTOM = 60, 600, 62, 340


def lines(out: Path, series: Mapping[str, tuple[Sequence[float], Sequence[float]]], below: str) -> None:
    """Draw {name: (costs, accuracies)}, costs on a logarithmic axis, with a dot for every network.

    Args:
        out: the SVG.
        series: at most six.
        below: title of the horizontal axis, which also says what the accuracies are of.
    """
    x = {name: np.log(np.asarray(costs, float)) for name, (costs, _) in series.items()}
    y = {name: np.asarray(accuracy, float) for name, (_, accuracy) in series.items()}
    (left, right), (low, high) = (_range(values) for values in (x, y))
    across = lambda v: LEFT + (RIGHT - LEFT) * (v - left) / (right - left)  # noqa: E731
    up = lambda v: BOTTOM - (BOTTOM - TOP) * (v - low) / (high - low)  # noqa: E731
    pieces = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 400" font-family="sans-serif" font-size="12">',
              '<rect width="640" height="400" fill="white"/>']  # fmt: skip
    for share in (0, 0.25, 0.5, 0.75, 1):
        at, cost = low + share * (high - low), left + share * (right - left)
        pieces.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{up(at):.0f}" y2="{up(at):.0f}" stroke="#ddd"/>'
                      f'<text x="{LEFT - 8}" y="{up(at) + 4:.0f}" text-anchor="end">{at:.1%}</text>'
                      f'<text x="{across(cost):.0f}" y="{BOTTOM + 20}" text-anchor="middle">{np.exp(cost):.2g}</text>')  # fmt: skip
    pieces.append(f'<text x="330" y="{BOTTOM + 46}" text-anchor="middle">{below}</text>')
    for i, (name, colour) in enumerate(zip(series, COLOURS)):
        order = np.argsort(x[name])
        points = [(float(across(x[name][j])), float(up(y[name][j]))) for j in order]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        dots = "".join(f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5"/>' for a, b in points) if len(points) < 30 else ""
        pieces.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/><g fill="{colour}">{dots}</g>'
                      f'<text x="{LEFT + 190 * (i % 3)}" y="{22 + 20 * (i // 3)}" fill="{colour}">{name}</text>')  # fmt: skip
    out.write_text("\n".join([*pieces, "</svg>"]) + "\n")


def _range(values: Mapping[str, np.ndarray]) -> tuple[float, float]:
    every = np.concatenate(list(values.values()))
    return float(every.min()), float(every.max())
