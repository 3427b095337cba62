"""A network drawn block by block as SVG, and described in text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from html import escape

import numpy as np

from explorer.core.layer import Layer

STAGE_COLOURS = ("#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#0072B2", "#D55E00")
MANY = 20  # a stage with more blocks is described by the number of each kind of block
WIDTH, GAP, TOP, HEIGHT = 50, 8, 34, 96


def describe(layers: Sequence[Layer]) -> str:
    """Describe a network with one line per stage: kernel and expansion of every block, or how many there are of each.

    >>> from explorer.spaces import SPACES
    >>> describe(SPACES["mobile-tiny"].layers([0] * 10)).splitlines()[0]
    'stage 1: k3 e2'
    """
    stages: dict[str, list[str]] = {}
    for layer in layers:
        stage, dot, _ = layer.name.partition(".")
        if dot:
            stages.setdefault(stage.replace("stage", "stage "), []).append(layer.words())
    return "\n".join(f"{stage}: {', '.join(_short(blocks))}" for stage, blocks in stages.items())


def _short(blocks: Sequence[str]) -> list[str]:
    """List the blocks; if there are many, as in cells, count each kind instead, most frequent first."""
    if len(blocks) <= MANY:
        return list(blocks)
    return [f"{count} x {words}" for words, count in Counter(blocks).most_common()]


def architecture_svg(layers: Sequence[Layer], shares: np.ndarray, device: str) -> str:
    """Draw a network as SVG, block by block from input to output.

    A block's height shows its number of channels (square-root scale), the label above it the output shape
    (channels @ size), and the bar below it the block's share of the cost.

    Args:
        layers: the result of `space.layers`.
        shares: (len(layers),) share of each layer in the cost on `device`.
        device: device name for the caption.
    """
    tallest = max(layer.widest for layer in layers)
    pieces, x = [], GAP
    for layer, share in zip(layers, shares):
        height = 14 + (HEIGHT - 14) * np.sqrt(layer.widest / tallest)
        pieces.append(_block(layer, x, TOP + HEIGHT - height, height, float(share), float(shares.max())))
        x += WIDTH + GAP
    total, bottom = x, TOP + HEIGHT + 62
    caption = f"Above: channels @ size of the output. Bars: share of each block in the {escape(device)} cost"
    return (
        f'<svg viewBox="0 0 {total} {bottom}" width="100%" style="max-width:{total}px" role="img" '
        f'aria-label="{escape(describe(layers)).replace(chr(10), "; ")}" '
        f'font-family="sans-serif" font-size="11" fill="currentColor">'
        f'<text x="{GAP}" y="14">{layers[0].size} x {layers[0].size} image</text>{"".join(pieces)}'
        f'<text x="{GAP}" y="{bottom - 6}" opacity="0.7">{caption}</text></svg>'
    )


def difference_svg(a: Sequence[Layer], b: Sequence[Layer], names: tuple[str, str]) -> str:
    """Draw two networks as SVG, one above the other and aligned by block.

    Blocks that differ have a thick outline, missing ones a dashed outline.
    """
    order = _aligned(a, b)
    by_name = [{layer.name: layer for layer in layers} for layers in (a, b)]
    tallest = max(layer.widest for layer in (*a, *b))
    pieces, differing = [], []
    for row, (own, other) in enumerate((by_name, by_name[::-1])):
        top = 18 + row * (HEIGHT // 2 + 40)
        base = top + HEIGHT // 2
        pieces.append(f'<text x="0" y="{base - 4}" font-size="12">{escape(names[row])}</text>')
        for column, name in enumerate(order):
            x = 2 * GAP + column * (WIDTH + GAP)
            layer, differs = own.get(name), own.get(name) != other.get(name)
            if differs and row == 0:
                differing.append(name)
            pieces.append(_small_block(layer, name, x, base, tallest, differs))
    width, bottom = 2 * GAP + len(order) * (WIDTH + GAP), 2 * (HEIGHT // 2 + 40) + 24
    words = f"{len(differing)} of {len(order)} blocks differ" + (f": {', '.join(differing)}" if differing else "")
    return (
        f'<svg viewBox="0 0 {width} {bottom}" width="100%" style="max-width:{width}px" role="img" '
        f'aria-label="{escape(words)}" font-family="sans-serif" font-size="10" fill="currentColor">{"".join(pieces)}'
        f'<text x="0" y="{bottom - 6}" font-size="11" opacity="0.8">{escape(words)}</text></svg>'
    )


def size_of(layer: Layer) -> str:
    """Format the output shape as channels @ size, such as "40 @ 14"."""
    return f"{layer.cout} @ {layer.size_out}"


def _aligned(a: Sequence[Layer], b: Sequence[Layer]) -> list[str]:
    """Merge the layer names of both networks, keeping the order of each."""
    order = [layer.name for layer in a]
    at = 0
    for layer in b:
        if layer.name in order:
            at = order.index(layer.name) + 1
        else:
            order.insert(at, layer.name)
            at += 1
    return order


def _small_block(layer: Layer | None, name: str, x: float, base: float, tallest: int, differs: bool) -> str:
    stroke = 'stroke="#D55E00" stroke-width="2.5"' if differs else 'stroke="#333" stroke-width="0.7"'
    if layer is None:
        return (
            f"<g><title>{escape(name)}: missing</title>"
            f'<rect x="{x}" y="{base - 16}" width="{WIDTH}" height="16" rx="3" '
            f'fill="none" {stroke} stroke-dasharray="4 3"/></g>'
        )
    height = 14 + (HEIGHT // 2 - 14) * np.sqrt(layer.widest / tallest)
    words = layer.words() if "." in layer.name else layer.name
    return (
        f'<g><title>{escape(layer.name)}: {escape(layer.signature)}</title><rect x="{x}" y="{base - height:.1f}" '
        f'width="{WIDTH}" height="{height:.1f}" rx="3" fill="{colour_of(layer)}" {stroke}/>'
        f'<text x="{x + WIDTH / 2}" y="{base + 12}" text-anchor="middle" font-size="9">{escape(words)}</text></g>'
    )


def colour_of(layer: Layer) -> str:
    """The colour of a layer's stage; grey outside stages."""
    found = re.match(r"stage(\d{1,4})\.", layer.name)
    return STAGE_COLOURS[(int(found[1]) - 1) % len(STAGE_COLOURS)] if found else "#BBBBBB"


def _block(layer: Layer, x: float, y: float, height: float, share: float, most: float) -> str:
    dot, colour = "." in layer.name, colour_of(layer)
    middle, base = x + WIDTH / 2, TOP + HEIGHT
    words = layer.words().split() if dot else [layer.name]
    size = (
        f'<text x="{middle}" y="{y - 3:.1f}" text-anchor="middle" font-size="8" opacity="0.75">{size_of(layer)}</text>'
    )
    title = f"{layer.name}: {layer.signature}, {share:.1%} of the cost"
    lines = "".join(
        f'<text x="{middle}" y="{base - 8 - 13 * (len(words) - 1 - i)}" text-anchor="middle" fill="#111" '
        f'font-size="{11 if dot else 8.5}">{escape(word)}</text>'
        for i, word in enumerate(words)
    )
    bar = 26 * share / max(most, 1e-12)
    return (
        f'<g><title>{escape(title)}</title><rect x="{x}" y="{y:.1f}" width="{WIDTH}" height="{height:.1f}" rx="4" '
        f'fill="{colour}" stroke="#333" stroke-width="0.7"/>{size}{lines}'
        f'<rect x="{x}" y="{base + 18}" width="{WIDTH}" height="{bar:.1f}" fill="#D55E00"/>'
        f'<text x="{middle}" y="{base + 13}" text-anchor="middle" font-size="9.5" opacity="0.8">{share:.0%}</text></g>'
    )
