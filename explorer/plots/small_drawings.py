"""Networks drawn small: as a column of rows beside the chart, and as a silhouette in a row of many."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from explorer.core.layer import Layer
from explorer.plots.architecture import colour_of, describe, size_of

ROW, LINE = 340, 15  # width of the column and height of a row
TALL, BAR = 34, 5  # height of a silhouette and width of its bars


def column_svg(layers: Sequence[Layer], shares: np.ndarray, device: str) -> str:
    """Draw a network as a column, one row per block from input to output, for a narrow place.

    A row has the block's name, what was chosen for it, a bar for its channels (square-root scale), its output shape
    (channels @ size), and a bar for its share of the cost.

    Args:
        layers: the result of `space.layers`.
        shares: (len(layers),) share of each layer in the cost on `device`.
        device: device name for the caption.
    """
    tallest, most = max(layer.widest for layer in layers), max(float(shares.max()), 1e-12)
    rows = [_row(i, layer, tallest, share, share / most) for i, (layer, share) in enumerate(zip(layers, shares))]
    height = LINE * (len(layers) + 1) + 4
    heads = "".join(
        f'<text x="{x}" y="11" text-anchor="{anchor}" opacity="0.75">{escape(text)}</text>'
        for x, anchor, text in ((0, "start", "block"), (66, "start", "channels @ size"), (ROW, "end", f"{device} cost"))
    )
    return (
        f'<svg viewBox="0 0 {ROW} {height}" width="100%" style="max-width:{ROW + 60}px;display:block" role="img" '
        f'aria-label="{escape(describe(layers)).replace(chr(10), "; ")}" font-family="sans-serif" font-size="10" '
        f'fill="currentColor">{heads}{"".join(rows)}</svg>'
    )


def _row(i: int, layer: Layer, tallest: int, share: float, relative: float) -> str:
    top = LINE * (i + 1) + 3
    base = top + LINE - 5
    words = layer.words() if "." in layer.name else layer.name
    wide = 12 + 108 * float(np.sqrt(layer.widest / tallest))
    return (
        f"<g><title>{escape(f'{layer.name}: {layer.signature}, {share:.1%} of the cost')}</title>"
        f'<text x="0" y="{base}">{escape(words[:11])}</text>'
        f'<rect x="66" y="{top}" width="{wide:.1f}" height="{LINE - 3}" rx="2" fill="{colour_of(layer)}"/>'
        f'<text x="{66 + wide + 4:.1f}" y="{base}" opacity="0.8">{size_of(layer)}</text>'
        f'<rect x="{ROW - 30 - 44 * relative:.1f}" y="{top + 2}" width="{44 * relative:.1f}" height="{LINE - 7}" '
        f'fill="#D55E00"/><text x="{ROW}" y="{base}" text-anchor="end">{share:.0%}</text></g>'
    )


def silhouette_svg(layers: Sequence[Layer], tallest: int) -> str:
    """Draw a network as a row of thin bars, one per block: height for channels, colour for the stage.

    Args:
        layers: the result of `space.layers`.
        tallest: the largest number of channels among all networks that are drawn side by side.
    """
    bars = []
    for i, layer in enumerate(layers):
        height = 4 + (TALL - 4) * float(np.sqrt(layer.widest / tallest))
        bars.append(
            f'<rect x="{i * (BAR + 1)}" y="{TALL - height:.1f}" width="{BAR}" height="{height:.1f}" '
            f'fill="{colour_of(layer)}"/>'
        )
    return (
        f'<svg viewBox="0 0 {len(layers) * (BAR + 1)} {TALL}" height="{TALL}" preserveAspectRatio="none" '
        f'style="max-width:100%" aria-hidden="true">{"".join(bars)}</svg>'
    )
