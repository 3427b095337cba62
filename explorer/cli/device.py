"""`explorer device ...`: latency tables and latency models of your own hardware."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from explorer.cli.terminal import Json, Precision, Seed, answer, progress
from explorer.core.errors import InputError

if TYPE_CHECKING:
    from explorer.devices.few import FewFit
    from explorer.spaces import Space

app = typer.Typer(
    no_args_is_help=True, help="Make your own device (measure, import or fit it), check it, and add it to a study."
)

OutFile = Annotated[Path, typer.Option("--out", help="JSON file to write the device to.")]
Name = Annotated[str, typer.Option("--name", help="Name of the device, as used in budgets and on sliders.")]
SpaceNames = Annotated[list[str], typer.Option("--space", help="A search space, repeatable.")]
Threads = Annotated[int, typer.Option(help="Number of threads that the timed runtime uses.")]
Unit = Annotated[str | None, typer.Option(help="Unit of the latencies, if the file does not say it: ms, us or s.")]
Networks = Annotated[
    int,
    typer.Option(
        help="Number of whole networks to time, to calibrate and check the sum of block times.", min=0, max=10_000
    ),
]
Source = Annotated[str, typer.Argument(help="A file or folder.")]


@app.command()
def measure(
    space: SpaceNames,
    out: OutFile,
    name: Name = "mine",
    threads: Threads = 1,
    networks: Networks = 100,
    rounds: Annotated[
        int, typer.Option(help="Number of timing rounds; each round times everything once.", min=1, max=1_000_000)
    ] = 60,
    precision: Precision = "fp32",
    as_json: Json = False,
) -> None:
    """Measure every block of a search space on this machine and write the latencies as a device.

    Whole networks are timed too: half calibrate the sum of the blocks, half give its error.
    """
    from explorer.core.files import check_writable
    from explorer.devices import checked_device_name
    from explorer.devices.measure import measure_table
    from explorer.devices.quantities import checked_precision

    checked_device_name(name)
    checked_precision(precision)
    check_writable(out, "the device to ")
    device = measure_table(name, _spaces(space), threads, rounds, networks, progress=progress, precision=precision)
    _written(device, out, as_json)


@app.command()
def estimate(
    chip: Annotated[str, typer.Argument(help="An NPU: one of {}.")],
    space: SpaceNames,
    out: OutFile,
    name: Annotated[str | None, typer.Option(help="Name of the device. Default: the chip's.")] = None,
    networks: Networks = 100,
    as_json: Json = False,
) -> None:
    """Estimate every block of a search space on an Ethos-U NPU by Arm's compiler, and write a device.

    Nothing is measured: Vela says what cycles it expects of each block, and of whole networks.
    Half of these calibrate the sum of the blocks, half give its error.
    """
    from explorer.core.files import check_writable
    from explorer.devices import checked_device_name
    from explorer.devices.ethos_u import checked_chip, estimate_table

    checked_chip(chip)
    checked_device_name(name or chip)
    check_writable(out, "the device to ")
    _written(estimate_table(name or chip, _spaces(space), chip, networks, progress=progress), out, as_json)


@app.command()
def kit(
    space: SpaceNames,
    out: Annotated[Path, typer.Option("--out", help="An empty or new folder.")],
    networks: Networks = 40,
    whole: Annotated[
        bool, typer.Option("--whole", help="Time whole networks only: quick, and the device starts from known ones.")
    ] = False,
    precision: Precision = "fp32",
    as_json: Json = False,
) -> None:
    """Write a measuring kit: a folder that times the blocks of a search space on another machine.

    That machine needs only Python, numpy and onnxruntime.
    `explorer device import` makes a device from the result.
    """
    from explorer.devices.kit import write_kit
    from explorer.devices.quantities import checked_precision

    checked_precision(precision)
    graphs = write_kit(space, _spaces(space), out, networks, whole=whole, precision=precision)
    text = f"{graphs} graphs in {out}; copy the folder to the device and start run.py there; see its README.md"
    answer({"kit": str(out), "graphs": graphs, "spaces": space}, as_json, text)


@app.command("import")
def import_(
    path: Source,
    out: OutFile,
    name: Annotated[
        str | None, typer.Option(help="Name of the device. Default: the one that the timings of a kit have.")
    ] = None,
    unit: Unit = None,
    uncounted: Annotated[
        list[str] | None,
        typer.Option(help="Operator that is missing in the table and should cost 0; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a device from the timings of a measuring kit, a lookup table or another device's JSON.

    A lookup table is one of once-for-all (YAML file or folder) or a CSV block table.
    """
    from explorer.core.files import read_json
    from explorer.devices import checked_device_name, device_from, read_block_table
    from explorer.devices.kit import few_of_kit, table_of_kit

    if name is not None:
        checked_device_name(name)
    if path.endswith(".json"):
        if unit is not None or uncounted:
            raise InputError(
                f"{path!r}: --unit and --uncounted apply only to YAML and CSV tables; a "
                "JSON file contains this information"
            )
        values = read_json(path)
        kit = isinstance(values, dict) and values.get("kind") == "timings"
        device: Any
        if kit:
            named = checked_device_name(_named(name, values.get("device"), path))
            if few := few_of_kit(values, named, path):
                _written(few.device, out, as_json, _started(few), {"start": few.start, "far": few.far})
                return
            device = table_of_kit(values, named, path)
        else:
            renamed = {"name": name} if name else {}
            device = device_from(values | renamed if isinstance(values, dict) else values, path)
    else:
        device = read_block_table(path, _named(name, None, path), unit, tuple(uncounted or ()))
    _written(device, out, as_json)


def _named(name: str | None, known: object, path: str) -> str:
    """The name of a device: as given, or as its file says."""
    if name is None and not (isinstance(known, str) and known):
        raise InputError(f"{path!r} does not name its device; add --name NAME")
    return name or str(known)


@app.command()
def fit(
    path: Source,
    name: Name,
    out: OutFile,
    space: Annotated[
        str | None, typer.Option(help="The space of the measured networks; without it FILE is a block table.")
    ] = None,
    column: Annotated[str | None, typer.Option(help="The column with the latency, if there are several.")] = None,
    unit: Unit = None,
    hardware: Annotated[str, typer.Option(help="The hardware that was timed, for the provenance.")] = "",
    runtime: Annotated[str, typer.Option(help="The runtime that timed it, for the provenance.")] = "",
    threads: Annotated[int | None, typer.Option(help="Number of threads that the timed runtime uses.")] = None,
    batch: Annotated[int | None, typer.Option(help="Batch size of the measurements, for the provenance.")] = None,
    source: Annotated[str, typer.Option(help="Where the measurements come from, for the provenance.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the measurements, for the provenance.")] = "",
    note: Annotated[str, typer.Option(help="A note for readers, for the provenance.")] = "",
    without: Annotated[
        list[str] | None,
        typer.Option(help="A known device that a fit to few networks must not start from; repeatable."),
    ] = None,
    precision: Precision = "fp32",
    as_json: Json = False,
) -> None:
    """Fit a latency model to measurements and write it as a device.

    The measurements are a CSV of whole networks (with --space) or a block table.
    10 networks are enough; with fewer than 200, the fit starts from known devices.
    The model is a sum over layers, so it also covers shapes that were not measured.
    """
    import numpy as np

    from explorer.devices import (
        Provenance,
        checked_device_name,
        fit_layer_model,
        fit_space,
        read_blocks,
        read_measurements,
    )
    from explorer.devices.few import ENOUGH, fit_few, known_models, worth_measuring
    from explorer.devices.quantities import checked_precision
    from explorer.spaces import SPACES

    checked_device_name(name)
    checked_precision(precision)
    about = Provenance(
        kind="modelled", hardware=hardware, runtime=runtime, threads=threads, batch=batch,
        source=source or Path(path).name, licence=licence, note=note,
    )  # fmt: skip
    if space is not None:
        codes, latency = read_measurements(path, SPACES[space], column, unit)
        if len(latency) < ENOUGH:
            known, networks = known_models(without or []), [SPACES[space].layers(row) for row in codes]
            found = fit_few(name, networks, latency, about, known)
            found.device.precision = precision
            proposed = worth_measuring(SPACES[space], networks, known)
            said = f"{_started(found)}\nMeasure next: {', '.join(proposed)}"
            _written(found.device, out, as_json, said, {"start": found.start, "next": proposed, "far": found.far})
            return
        if without:
            raise InputError(f"--without {without[0]}: a fit to {len(latency)} networks starts from no known device")
        device = fit_space(name, SPACES[space], codes, latency, about)
    else:
        if column is not None:
            raise InputError(f"column {column!r}: --column is for CSV files of whole networks, with --space")
        if without:
            raise InputError(f"--without {without[0]}: only for CSV files of whole networks, with --space")
        blocks = read_blocks(path, unit)
        device = fit_layer_model(name, [b.layers[:1] for b in blocks], np.array([b.latency_ms for b in blocks]), about)
    device.precision = precision
    _written(device, out, as_json)


@app.command()
def check(
    device: Annotated[str, typer.Argument(help="A device's name or file.")],
    space: SpaceNames,
    networks: Annotated[int, typer.Option(help="How many random networks are timed.", min=2, max=10_000)] = 30,
    threads: Threads = 1,
    plot: Annotated[Path | None, typer.Option(help="Write the chart to this HTML file.")] = None,
    seed: Seed = 1,
    as_json: Json = False,
) -> None:
    """Check a device against this machine: compare predicted with measured latencies of random networks."""
    import numpy as np

    from explorer.core.files import write_text
    from explorer.devices import error_of, load_device
    from explorer.devices.measure import hardware, measure_networks
    from explorer.devices.quantities import is_timed
    from explorer.plots.devices import agreement_figure, verdict
    from explorer.spaces import SPACES

    opened = load_device(device)
    if not is_timed(opened):
        raise InputError(f"device {device!r} does not give a latency, so it cannot be compared with measured times")
    rng = np.random.default_rng(seed)
    drawn = [(SPACES[s], SPACES[s].sample(max(2, networks // len(space)), rng)) for s in space]
    predicted = np.concatenate([opened.cost(s, codes) for s, codes in drawn])
    layers = [s.layers(row) for s, codes in drawn for row in codes]
    measured = measure_networks(layers, threads, progress=progress, precision=opened.precision)
    words = verdict(predicted, measured)
    outside = " ".join(filter(None, (opened.outside(s, codes) for s, codes in drawn)))
    if plot is not None:
        write_text(plot, agreement_figure(opened.name, hardware(), predicted, measured).to_html())
    value = {
        "device": opened.name, "precision": opened.precision, "hardware": hardware(), "threads": threads,
        **error_of(predicted, measured), "verdict": words, "outside": outside,
        "predicted_ms": predicted.tolist(), "measured_ms": measured.tolist(),
    }  # fmt: skip
    answer(value, as_json, f"{words}\n{outside}".strip())


@app.command()
def add(
    study: Annotated[str, typer.Argument(help="A study's name or folder.")],
    device: Annotated[str, typer.Argument(help="A device's name or file.")],
    out: Annotated[Path, typer.Option("--out", help="An empty or new folder for the new study.")],
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the generators again; takes minutes and says what it gained.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Add a device to a copy of a study, which then has one more budget slider.

    All networks get a cost on the device, and its front is searched. The generators answer for it as they are.
    """
    from explorer.devices import load_device
    from explorer.study import open_study
    from explorer.study.add_device import add_device, answered, gains

    before, added = open_study(study), load_device(device)
    made = add_device(before, added, out, progress, retrain)
    value: dict[str, Any] = {"study": str(made.folder), "devices": list(made.devices), "generators": made.generators}
    text = f"study {made.name!r} in {made.folder} with targets {', '.join(made.targets)}"
    if retrain:
        value["gains"] = gained = gains(before, added, made)
        changes = ", ".join(f"{name} {share:+.2%}" for name, share in gained.items())
        text += f"\nRetraining changed the hypervolume of 100 budgets on {added.name!r}: {changes}."
    else:
        text += f"\n{answered(made, added.name)}"
    answer(value, as_json, text)


def _spaces(names: list[str]) -> list[Space]:
    """All variants of the named spaces: see `image_variants`."""
    from explorer.spaces import SPACES

    return [variant for name in names for variant in image_variants(SPACES[name])]


def image_variants(space: Space) -> list[Space]:
    """Variants of a space that cover the images of any study: number of classes, colours and image sizes.

    Grey and colour are two variants only for a space without a decision on the resolution.
    """
    from explorer.spaces.base import resolution_gene

    colours = (1, 3) if resolution_gene(space) is None else (space.channels,)
    sizes = space.sizes or (max(space.resolutions),)
    return [
        space.for_images(channels, classes, size)
        for classes in (10, 2, 100, 1000) for channels in colours for size in sizes
    ]  # fmt: skip


def _started(found: FewFit) -> str:
    """A line on what a fit to few networks started from."""
    start = ", ".join(f"{share:.0%} {known}" for known, share in found.start.items()) or "none of them"
    far = ", ".join(map(str, found.far))
    return f"\n{found.networks} networks are few, so the fit started from known devices: {start}." + (
        f"\nFar from what the other measurements predict, check them: number {far}." if far else ""
    )


def _written(
    device: Any, out: Path, as_json: bool, more: str = "", values: Mapping[str, Any] = MappingProxyType({})
) -> None:
    from explorer.core.files import write_json
    from explorer.devices import device_json

    write_json(out, device_json(device))
    error = device.provenance.error
    known = {"mape", "kendall_tau"} <= set(error)
    said = f"{error['mape']:.1%} mean error, tau {error['kendall_tau']:.3f}" if known else "prediction error unknown"
    value = {
        "device": device.name, "file": str(out), "provenance": device.provenance.model_dump(), "error": error,
        "blocks": len(getattr(device, "blocks", ())), "features": len(getattr(device, "weights", ())), **values,
    }  # fmt: skip
    answer(value, as_json, f"device {device.name!r} in {out}: {device.provenance} ({said}){more}")
