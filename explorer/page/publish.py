"""A study as a page without a server: sliders, joint budgets and pins in any browser, from a file or a web site.

Every request is answered from a pool of networks that is fixed when a study is opened (`generators.selection`). So the
page holds the pool, and its script (`published/selection.js`) chooses from it as Python does: the same networks,
without a second implementation of generator, predictor and costs. Where no network of the pool meets the limits, the
nearest of some corner networks is shown, which are found here for many limits.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.core.architecture import key_of
from explorer.core.errors import InputError
from explorer.core.files import empty_folder, hand_over, is_folder, read_limited, scratch, write_text
from explorer.devices.boards import BOARDS
from explorer.devices.population import costs_of, nearest
from explorer.devices.quantities import quantity_of
from explorer.plots import CONFIG, describe, front_figure, front_info
from explorer.plots.front import Marks
from explorer.plots.small_drawings import column_svg, silhouette_svg
from explorer.spaces.operators import unique
from explorer.study import Study

PARTS = Path(__file__).with_name("published")
CORNERS = 150  # joint limits below what is reachable, for which the nearest network is found
SHEET = 64  # drawings that are packed together: the page unpacks only those that it shows
GALLERY = 9  # networks along the front that are drawn small
PLOTLY = "plotly.min.js"
NOTICES = """Third-party software in this folder

plotly.js {version}, Copyright 2012-2026 Plotly, Inc., MIT licence: https://github.com/plotly/plotly.js/blob/master/LICENSE
Its file begins with the same notice. Everything else was written by Pareto Explorer (see its LICENSE).
"""


def publish(study: Study, out: str | Path, generator: str | None = None) -> Path:
    """Write a folder for a web site: `index.html`, the chart library beside it, and notices.

    Args:
        study: the study.
        out: an empty or new folder.
        generator: name of the generator, by default the study's first.

    Returns:
        Path of `index.html`; it can be opened as a file, too.

    Raises:
        InputError: unknown generator, or `out` is not empty or cannot be written.
    """
    from plotly.offline import get_plotlyjs, get_plotlyjs_version

    out, page = empty_folder(out), _page(study, generator, f'<script src="{PLOTLY}"></script>')
    with scratch("explorer-publish-") as folder:
        work = folder / "site"
        work.mkdir()
        write_text(work / "index.html", page)
        write_text(work / PLOTLY, get_plotlyjs())
        write_text(work / "NOTICE.txt", NOTICES.format(version=get_plotlyjs_version()))
        hand_over(work, out)
    return out / "index.html"


def write_report(study: Study, out: str | Path | None = None, generator: str | None = None) -> Path:
    """Write the same page as one file, which can be mailed.

    Args:
        study: the study.
        out: file to write, or a folder in which `NAME-report.html` is written (NAME is the study's name); by default
            the current folder.
        generator: name of the generator, by default the study's first.

    Returns:
        Path of the written file.

    Raises:
        InputError: unknown generator, or the file cannot be written.
    """
    from plotly.offline import get_plotlyjs

    path = Path(out or ".")
    if is_folder(path) or str(out or "").endswith(("/", os.sep)):
        path = path / f"{study.name}-report.html"
    code = get_plotlyjs().replace("</script", r"<\/script")
    page = _page(study, generator, f"<script>{code}</script>")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    except OSError as error:
        raise InputError(f"report {str(path)!r} cannot be written: {error.strerror}") from error
    return path


def _page(study: Study, generator: str | None, plotly: str) -> str:
    data = published_data(study, generator)
    read = lambda name: (PARTS / name).read_text(encoding="utf-8")  # noqa: E731
    words = {
        "TITLE": escape(str(study.manifest.title)), "CARD": escape(_card(study)), "STYLE": read("published.css"),
        "DATA": packed(data), "PLOTLY": plotly, "SELECTION": read("selection.js"), "SCRIPT": read("published.js"),
    }  # fmt: skip
    first, *rest = read("published.html").split("%%")  # replaced in one pass, so that content is never expanded
    return first + "".join(words[part] if i % 2 == 0 else part for i, part in enumerate(rest))


def packed(data: Any) -> str:
    """Return data as JSON, compressed and in base64, so that it cannot close the script element that contains it."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    return base64.b64encode(gzip.compress(text, mtime=0)).decode()


def published_data(study: Study, generator: str | None = None) -> dict[str, Any]:
    """Collect what the page's script reads: one view per precision of the study."""
    return {
        "study": study.name, "title": study.manifest.title, "generator": study.generator(generator).method,
        "accuracy_is": study.origin.generated, "weights_are": study.origin.weights, "config": CONFIG, "sheet": SHEET,
        "boards": [[board.title, board.budget] for board in BOARDS.values()],
        "views": {name: _view(study.in_precision(name), generator) for name in study.precisions},
    }  # fmt: skip


def _view(study: Study, generator: str | None) -> dict[str, Any]:
    """Collect devices, networks and charts in one precision.

    Networks are those of the pool, the most accurate first, then the corner networks (from `pool` on).
    """
    pool, devices = study.generator(generator).pool, list(study.devices.values())
    corner = np.zeros((0, len(study.space.decisions)), np.int8) if pool.complete else corner_networks(study)
    accuracy = np.concatenate([pool.accuracy, study.predictor.evaluate(corner)])
    costs = np.concatenate([pool.costs, costs_of(study.space, devices, corner)])
    codes = np.concatenate([pool.codes, corner])
    lo, hi = study.predictor.interval(accuracy)
    keys = [key_of(study.space, row) for row in codes]
    target = study.main_targets[0]
    return {
        "devices": [_device(study, name) for name in study.devices], "targets": study.main_targets,
        "pool": len(pool), "keys": keys, "accuracy": accuracy.tolist(), "lo": lo.tolist(), "hi": hi.tolist(),
        "costs": costs.tolist(), "measured": [study.measured_accuracy.get(key) for key in keys],
        "words": [describe(study.space.layers(row)) for row in codes],
        "drawings": [
            packed([_drawing(study, row, target) for row in codes[i : i + SHEET]]) for i in range(0, len(codes), SHEET)
        ],
        "charts": {name: _chart(study, name, generator) for name in study.main_targets},
    }  # fmt: skip


def _device(study: Study, name: str) -> dict[str, Any]:
    device = study.devices[name]
    found: dict[str, Any] = {
        "name": name, "unit": device.unit, "quantity": quantity_of(device), "provenance": str(device.provenance),
        "kind": device.provenance.kind, "precision": device.precision,
    }  # fmt: skip
    if name in study.main_targets:
        low, high = study.budget_range(name)
        found |= {"low": low, "high": high, "knee": study.knee(name)}
    return found


def _drawing(study: Study, row: np.ndarray, target: str) -> str:
    layers = study.space.layers(row)
    return column_svg(layers, study.devices[target].shares(layers), target)


def _chart(study: Study, target: str, generator: str | None) -> dict[str, Any]:
    """Collect the chart of a target, and networks along its front for the row of small drawings."""
    info = front_info(study, target)
    low, high = study.budget_range(target)
    asked = pd.DataFrame({target: np.geomspace(low * (1 + 1e-9), high, GALLERY)})
    networks = {c.key: c for c in study.generate_many(asked, generator)}
    layers = [study.space.layers(c.architecture) for c in networks.values()]
    tallest = max(layer.widest for network in layers for layer in network)
    return {
        "figure": json.loads(front_figure(info, Marks(band=True)).to_json()), "y_range": list(info.y_range),
        "gallery": [[key, silhouette_svg(network, tallest)] for key, network in zip(networks, layers)],
    }  # fmt: skip


def corner_networks(study: Study) -> np.ndarray:
    """Find the networks (k, d) that are nearest to joint limits below what is reachable."""
    devices, rng = [study.devices[name] for name in study.main_targets], np.random.default_rng(0)
    lows = np.array([study.budget_range(device.name)[0] for device in devices])
    found = [np.zeros((0, len(study.space.decisions)), np.int8)]
    for _ in range(CORNERS if len(devices) > 1 else 0):
        limits = lows * np.exp(rng.random(len(devices)))
        limits[rng.random(len(devices)) < 0.25] = np.nan
        if not np.isnan(limits).all():
            found.append(nearest(study.space, devices, limits)[None])
    return unique(np.concatenate(found))


def _card(study: Study) -> str:
    return (
        read_limited(study.folder / "README.md") if "README.md" in study.manifest.files else "This study has no card."
    )
