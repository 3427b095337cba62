"""A study's report as one self-contained HTML file with chart, slider and drawings; it needs no server or internet.

The networks for `BUDGETS` budgets over every target's range are generated in advance; the page's script only looks
them up.
"""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from explorer.core.errors import InputError
from explorer.core.files import is_folder, read_limited, write_text
from explorer.core.front import Candidate
from explorer.devices import amount
from explorer.plots import CONFIG, architecture_svg, describe, front_figure, front_info
from explorer.plots.study_view import StudyView

BUDGETS = 60  # per target
TEMPLATE = Path(__file__).with_name("report.html")


def write_report(study: StudyView, out: str | Path | None = None, generator: str | None = None) -> Path:
    """Write the HTML report of a study.

    Args:
        study: a `Study`.
        out: file to write, or a folder in which `NAME-report.html` is written (NAME is the study's name); by default
            the current folder.
        generator: name of the generator, by default the study's first.

    Returns:
        Path of the written file.

    Raises:
        InputError: unknown generator, or the file cannot be written.
    """
    path = Path(out or ".")
    if is_folder(path) or str(out or "").endswith(("/", os.sep)):
        path = path / f"{study.name}-report.html"
    from plotly.offline import get_plotlyjs

    data = report_data(study, generator)
    page = TEMPLATE.read_text(encoding="utf-8")
    words = {
        "TITLE": escape(str(study.manifest.title)),
        "CARD": escape(_card(study)),
        "DATA": _embedded(data),
        "PLOTLY": get_plotlyjs().replace("</script", r"<\/script"),
    }
    first, *rest = page.split("%%")  # text%%NAME%%text: replaced in one pass, so that content is never expanded
    page = first + "".join(words[part] if i % 2 == 0 else part for i, part in enumerate(rest))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, page)
    except OSError as error:
        raise InputError(f"report {str(path)!r} cannot be written: {error.strerror}") from error
    return path


def report_data(study: StudyView, generator: str | None = None) -> dict[str, Any]:
    """Collect the data that the page's script reads.

    Per target there are a figure and the generated networks for `BUDGETS` budgets; descriptions, costs and drawings of
    networks are stored once, by architecture key.
    """
    name = study.generator(generator).method
    targets: dict[str, Any] = {}
    networks: dict[str, Any] = {}
    for target in study.main_targets:
        low, high = study.budget_range(target)
        budgets = np.geomspace(low, high, BUDGETS)
        made = study.generate_many(pd.DataFrame({target: budgets}), name)
        info = front_info(study, target)
        targets[target] = {
            "unit": info.unit,
            "figure": json.loads(front_figure(info).to_json()),
            "y_range": list(info.y_range),
            "provenance": info.provenance,
            "knee": int(np.abs(budgets - study.knee(target)).argmin()),
            "answers": [
                {"budget": float(b), "key": c.key, "accuracy": 100 * c.accuracy, "band": [100 * v for v in c.interval]}
                for b, c in zip(budgets, made)
            ],
        }
        for candidate in made:
            networks.setdefault(candidate.key, _network(study, candidate))
            networks[candidate.key]["drawings"].setdefault(target, _drawing(study, candidate, target))
    return {
        "accuracy_is": study.origin.generated,
        "weights_are": study.origin.weights,
        "generator": name,
        "config": CONFIG,
        "targets": targets,
        "networks": networks,
    }


def _network(study: StudyView, candidate: Candidate) -> dict[str, Any]:
    layers = study.space.layers(candidate.architecture)
    measured = study.measured_accuracy.get(candidate.key)
    costs = [
        [name, amount(device, candidate.costs[name]), str(device.provenance)] for name, device in study.devices.items()
    ]
    return {
        "words": describe(layers),
        "measured": None if measured is None else 100 * measured,
        "costs": costs,
        "drawings": {},
    }


def _drawing(study: StudyView, candidate: Candidate, target: str) -> str:
    layers = study.space.layers(candidate.architecture)
    return architecture_svg(layers, study.devices[target].shares(layers), target)


def _card(study: StudyView) -> str:
    return (
        read_limited(study.folder / "README.md") if "README.md" in study.manifest.files else "This study has no card."
    )


def _embedded(data: dict[str, Any]) -> str:
    """Serialise to JSON that cannot close the HTML script element that contains it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
