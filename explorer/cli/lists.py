"""`explorer studies`, `devices`, `spaces` and `generators`: lists of what is available."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from explorer.cli.terminal import Json, answer, table
from explorer.core.errors import InputError


def studies(as_json: Json = False) -> None:
    """List all studies, your own and those shipped, with their spaces, generators and budget ranges."""
    from explorer.devices.quantities import column_of

    rows = []
    for study in _all_studies():
        ranges = {column_of(study.devices[target]): list(study.budget_range(target)) for target in study.targets}
        rows.append({
            "study": study.folder.name, "title": study.manifest.title, "space": study.space.name,
            "evaluations": len(study.scored.codes),
            "generators": study.generators, "folder": str(study.folder), **ranges,
        })  # fmt: skip
    answer(rows, as_json, table(rows))


def devices(as_json: Json = False) -> None:
    """List all devices with their unit and the origin of their numbers."""
    from explorer.devices import device_names, load_device

    rows = []
    for name in device_names():
        device = load_device(name)
        rows.append({
            "device": name, "unit": device.unit, "precision": device.precision, "provenance": device.provenance.kind,
            "about": str(device.provenance), "note": device.provenance.note,
        })  # fmt: skip
    answer(rows, as_json, table(rows))


def boards(as_json: Json = False) -> None:
    """List the boards with microcontrollers: their RAM and flash, and what a network may take of them."""
    from explorer.devices.boards import BOARDS

    rows = [
        {"board": b.name, "title": b.title, "core": b.core, "mhz": b.mhz, "ram_kb": b.ram_kb, "flash_kb": b.flash_kb,
         **{f"network_{name}": limit for name, limit in b.budget.items()}, "source": b.source}
        for b in BOARDS.values()
    ]  # fmt: skip
    answer(rows, as_json, table(rows))


def spaces(as_json: Json = False) -> None:
    """List all search spaces with their number of architectures and their ranges of MACs and parameters."""
    from explorer.devices import load_device
    from explorer.devices.population import cheapest, dearest
    from explorer.spaces import SPACES

    rows, known = [], dict[str, Any](SPACES)
    for name, space in known.items():
        row: dict[str, Any] = {"space": name, "decisions": len(space.decisions), "architectures": space.size}
        for count in ("macs_m", "params_m"):
            device = load_device(count)
            ends = [cheapest(space, device), dearest(space, device)]
            row[count] = [float(device.cost(space, end[None])[0]) for end in ends]
        rows.append(row)
    answer(rows, as_json, table([r | {"architectures": f"{float(r['architectures']):.4g}"} for r in rows]))


def generators(as_json: Json = False) -> None:
    """List the generators of all studies, with their parameters and the devices that they accept budgets for."""
    rows = []
    for study in _all_studies():
        for generator in study.generators:
            g = study.generator(generator)
            rows.append({"generator": generator, "space": study.space.name, "parameters": g.parameters,
                         "study": study.folder.name,
                         "devices": list(g.conditioned)})  # fmt: skip
    answer(rows, as_json, table(rows))


def _all_studies() -> Iterable[Any]:
    """Every study that can be opened; for each of the others, print a line on stderr."""
    from explorer.study import open_study, study_names

    for name in study_names():
        try:
            yield open_study(name)
        except InputError as error:
            print(f"explorer: study {name!r} cannot be opened and is not listed: {error}", file=sys.stderr)
