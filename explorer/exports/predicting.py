"""`predict.py` beside an exported network: it classifies photographs with onnxruntime and Pillow alone.

It prepares a photograph exactly as the training did (`explorer.data.reading`); the same facts stand in the file's
metadata and on the card.
"""

from __future__ import annotations

import json
from typing import Any

from explorer.study.manifest import DataOfStudy

PROGRAM = '''"""Classify photographs: python {name} PHOTO ...  (needs onnxruntime and Pillow)."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

NETWORK, SIZE, CLASSES = {network!r}, {size}, {classes}
session = onnxruntime.InferenceSession(Path(__file__).with_name(NETWORK))
for path in sys.argv[1:]:
    image = Image.open(path)
    image.draft(None, (4 * SIZE, 4 * SIZE))  # large JPEGs are decoded smaller, as in the training
    image = ImageOps.exif_transpose(image)
{deep}    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    scale = (SIZE if min(image.size) <= SIZE else round(SIZE * 8 / 7)) / min(image.size)
    new = [max(SIZE, round(side * scale)) for side in image.size]
    image = image.convert("RGB").resize(new, Image.Resampling.BILINEAR)
    left, top = (image.width - SIZE) // 2, (image.height - SIZE) // 2
    pixels = np.asarray(image.crop((left, top, left + SIZE, top + SIZE)), np.float32).transpose(2, 0, 1) / 255
    logits = session.run(None, {{"images": pixels[None{channel}]}})[0][0]
    shares = np.exp(logits - logits.max())
    print(f"{{path}}: {{CLASSES[logits.argmax()]}} ({{shares.max() / shares.sum():.0%}})")
'''
NOT_DEEP = """    if image.mode.startswith(("I", "F")):
        raise SystemExit(f"{path}: it has more than 8 bits; the network was trained on images of 8 bits")
"""
DEEP = """    if image.mode.startswith(("I", "F")):  # more than 8 bits: from {low:g} to {high:g}
        values = np.round((np.asarray(image, np.float32) - {low!r}) * {scale!r})
        image = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
"""


def preprocessing(data: DataOfStudy) -> dict[str, Any]:
    """Return what has to be done with a photograph before it goes into a network; {} for other data sets."""
    if not data.photographs:
        return {}
    return {
        "orientation": "upright, as the EXIF tag says", "transparency": "on white",
        "colours": "RGB" if data.channels == 3 else "grey",
        "shorter_side": round(data.size * 8 / 7), "shorter_side_of_small_photographs": data.size,
        "crop": f"the middle {data.size} x {data.size}", "scale": "to [0, 1]", "resampling": "bilinear, antialiased",
    } | ({"darkest_and_brightest": list(data.deep)} if data.deep else {})  # fmt: skip


def program(data: DataOfStudy, network: str, name: str) -> str:
    """Return the source of a program that classifies photographs with an ONNX file beside it.

    Args:
        data: the images of the study.
        network: name of the ONNX file.
        name: name of the program's own file.
    """
    deep = NOT_DEEP
    if data.deep:
        low, high = data.deep
        deep = DEEP.format(low=low, high=high, scale=255 / max(high - low, 1e-12))
    classes = json.dumps(data.classes, ensure_ascii=False)
    channel = "" if data.channels == 3 else ", :1"
    return PROGRAM.format(name=name, network=network, size=data.size, classes=classes, deep=deep, channel=channel)
