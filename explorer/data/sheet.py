"""A contact sheet: some photographs of every class with its counts, as a piece of HTML without any outside part."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import BinaryIO

import numpy as np
from PIL import Image

from explorer.data.folders import Folder
from explorer.data.prepared import PIXELS

EACH, MOST, SIDE = 6, 60, 88  # photographs per class, classes, and pixels of one on the sheet


def contact_sheet(folder: Folder, seed: int = 0) -> str:
    """Return the sheet of a folder: its layout, a row per class, and what a user should know.

    Args:
        folder: a folder that was read; its crops are shown, as the networks will see them.
        seed: seed of the choice of photographs, which are training ones.
    """
    about, rng = folder.about(), np.random.default_rng(seed)
    training = set(folder.rows["train"].tolist())
    rows = []
    for label, (name, parts) in enumerate(list(about.counts.items())[:MOST]):
        own = [row for row in np.flatnonzero(folder.labels == label) if int(row) in training]
        chosen = rng.permutation(own)[:EACH]
        with open(folder.prepared.folder / PIXELS, "rb") as pixels:
            shown = "".join(_picture(folder, pixels, int(row)) for row in chosen)
        counts = f"{parts['train']:,} training, {parts['val']:,} validation, {parts['test']:,} test"
        rows.append(
            "<div style='display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:6px 0'>"
            f"<div style='flex:0 0 150px;min-width:120px;overflow-wrap:anywhere'><b>{escape(name)}</b><br>"
            f"<small>{counts}</small></div>{shown}</div>"
        )
    more = len(about.counts) - MOST
    rest = f"<p>and {more} more classes</p>" if more > 0 else ""
    notes = "".join(f"<li>{escape(line)}</li>" for line in about.warnings())
    sizes = ", ".join(f"{name} {width} &times; {height}" for name, (width, height) in about.sizes.items())
    head = f"<p><b>{about.images:,} photographs</b>, {escape(about.layout)}; {sizes} px</p>"
    listed = f"<ul>{notes}</ul>" if notes else ""
    return f"<div class='explorer-sheet' style='line-height:1.35'>{head}{listed}{''.join(rows)}{rest}</div>"


def _picture(folder: Folder, pixels: BinaryIO, row: int) -> str:
    cut = np.ascontiguousarray(folder.prepared.middle(pixels, row))
    image = Image.fromarray(cut[..., 0] if cut.shape[2] == 1 else cut).resize((SIDE, SIDE))
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    name = escape(folder.names[row], quote=True)
    return f"<img src='data:image/jpeg;base64,{data}' width='{SIDE}' height='{SIDE}' alt='{name}' title='{name}'>"
