"""Commands for one study: `explorer train` and `suggest` make it; `generate`, `search`, `export` and others use it."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from explorer.cli.terminal import (
    Generator,
    Json,
    Moved,
    Out,
    Precision,
    Seed,
    SkipBroken,
    StudyName,
    answer,
    hint_when_stopped,
    progress,
    table,
)
from explorer.cli.wishes import accuracy_words, asked, candidate_of, describe, parse_budget, said_of
from explorer.core.errors import InputError

if TYPE_CHECKING:
    from explorer.study import Study

Budgets = Annotated[
    list[str] | None,
    typer.Option("--budget", help="Upper limit of the cost on a device, such as mobile=0.5. Repeat for more devices."),
]
Start = Annotated[
    str | None,
    typer.Option("--from", help="Weights to start from: none; {}; a checkpoint of once-for-all; or a study."),
]


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or TOML file.")],
    out: Out,
    data: Annotated[
        str | None,
        typer.Option(help="Train on these images instead of the recipe's: folder:PATH or the name of a data set."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    start: Start = None,
    skip_broken: SkipBroken = False,
    as_json: Json = False,
) -> None:
    """Train a study from a recipe: supernet, scores of sampled networks, predictor, fronts and generators."""
    images = (["--data", data] if data else []) + (["--from", start] if start else [])
    images += ["--skip-broken"] if skip_broken else []
    hint_when_stopped(
        f"to continue, run: {shlex.join(['explorer', 'train', recipe, '--out', str(out), *images, '--resume'])}"
    )
    import explorer

    begun = time.monotonic()
    start = "" if start == "none" else start
    study = explorer.train(
        recipe, out, data=data, resume=resume, progress=progress, start=start, skip_broken=skip_broken or None
    )
    result = {"study": str(study.folder), "name": study.name, "seconds": time.monotonic() - begun}
    _warn(study)
    answer(result, as_json, f"study {study.name!r} in {study.folder} ({result['seconds']:.0f} s)")


def suggest(
    data: Annotated[
        str, typer.Argument(help="folder:PATH (PATH is a folder or an archive), or the name of a data set.")
    ],
    out: Annotated[Path | None, typer.Option(help="Write the recipe to this TOML file.")] = None,
    minutes: Annotated[float, typer.Option(help="How long the training may take on this machine.")] = 15,
    size: Annotated[int | None, typer.Option(help="Image size in pixels. Default: what the time allows.")] = None,
    space: Annotated[str | None, typer.Option(help="Search space. Default: the one that suits the images.")] = None,
    start: Start = None,
    skip_broken: SkipBroken = False,
    no_probe: Annotated[bool, typer.Option("--no-probe", help="Do not try the training for two minutes.")] = False,
    as_json: Json = False,
) -> None:
    """Suggest a recipe to train a study on your own images in a given time.

    This machine is timed for it, and a probe of at most two minutes shows what accuracy to expect.
    """
    import tomli_w

    from explorer.core.errors import require_torch
    from explorer.core.files import write_text

    if out is not None and out.suffix != ".toml":
        raise InputError(f"out {str(out)!r}: a recipe is a .toml file")
    require_torch("timing a training")
    from explorer.study.suggest import suggest as suggest_recipe

    start = "" if start == "none" else start
    found = suggest_recipe(
        data, minutes, progress=progress, size=size, space=space, start=start, skip_broken=skip_broken,
        probe=not no_probe,
    )  # fmt: skip
    recipe = found.recipe.model_dump(exclude_none=True)
    if out is not None:
        write_text(out, tomli_w.dumps(recipe))
    result = {
        "recipe": recipe, "images": found.images, "classes": found.classes, "size": found.size,
        "seconds": found.seconds, "parts": found.parts, "least_seconds": found.least, "possible": found.possible,
        "why": found.why, "probe": found.probe, "majority_share": found.majority,
    }  # fmt: skip
    text = (
        f"{found.images:,} images of {found.classes} classes, about {found.size} px: space {recipe['space']}, "
        f"{recipe['supernet']['epochs']:g} epochs; about {found.seconds / 60:.0f} min here (estimated)"
    )
    text += "".join(f"\n  {name}: {line}" for name, line in found.why.items())
    text += "\n  time: " + ", ".join(f"{name} {seconds / 60:.1f} min" for name, seconds in found.parts.items())
    if found.probe:
        text += (
            f"\n  accuracy: after a probe of {found.probe['seconds'] / 60:.1f} min, {found.probe['largest']:.1%} with "
            f"the largest and {found.probe['smallest']:.1%} with the smallest network (measured on validation images; "
            f"always naming the largest class gives {found.majority:.1%}); the whole training is longer"
        )
    if not found.possible:
        text += f"\n{minutes:g} min are not possible on this machine: the least is about {found.least / 60:.0f} min"
    answer(result, as_json, text + (f"\n{shlex.join(['explorer', 'train', str(out)])} --out DIR" if out else ""))


def generate(
    study: StudyName,
    budget: Budgets = None,
    generator: Generator = None,
    board: Annotated[
        str | None, typer.Option(help="A board, which bounds RAM and flash (ram_kb, flash_kb): one of {}.")
    ] = None,
    precision: Precision = "fp32",
    accuracy: Annotated[
        float | None,
        typer.Option(
            help="Least accuracy, such as 0.93: gives the cheapest network that reaches it within all budgets."
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option("--device", help="With --accuracy: the device that it is cheapest on. Default: the first."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Generate the network for a budget: a limit on the cost on one device, or on several at once.

    Or ask the other question: with --accuracy, the cheapest network that is accurate enough.
    """
    from explorer.devices.boards import BOARDS, lacking

    on = None if board is None else BOARDS[board]
    items = [*(budget or []), *(f"{name}={limit!r}" for name, limit in (on.budget if on else {}).items())]
    opened = _open(study, [*parse_budget(items), *([device] if device else [])], precision)
    opened.generator(generator)
    start = time.perf_counter()
    candidate, missed = asked(opened, items, generator, accuracy, device)
    seconds = time.perf_counter() - start
    result = {
        "architecture": candidate.key, "accuracy": candidate.accuracy, "interval": list(candidate.interval),
        "costs": dict(candidate.costs), "feasible": candidate.feasible, "generator": candidate.generator,
        "seconds": seconds,
    }  # fmt: skip
    if candidate.precision != "fp32":
        result["precision"] = candidate.precision
    _warn(opened)
    answer(result, as_json, describe(candidate, opened))
    if missed:
        short = lacking(on, dict(candidate.costs)) if on else ""
        raise InputError(missed + f"; {short}" * bool(short))


def search(
    study: StudyName,
    algorithm: Annotated[str, typer.Option(help="One of {}.")] = "memetic",
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device", help="Device whose cost is minimised; repeatable. Default: all target devices of the study."
        ),
    ] = None,
    budget: Budgets = None,
    evaluations: Annotated[int, typer.Option(help="How many different networks are evaluated, at most.")] = 100_000,
    seed: Seed = 0,
    patience: Annotated[
        int | None, typer.Option(help="Stop if the front has not improved for this many evaluations.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Save results in this file; if it exists, continue from it.")
    ] = None,
    precision: Precision = "fp32",
    as_json: Json = False,
) -> None:
    """Search the Pareto front of predicted accuracy against the costs on one or more devices."""
    if file is not None:
        hint_when_stopped(f"the same command goes on from {file}")
    budgets = parse_budget(budget)
    opened = _open(study, [*budgets, *(device or [])], precision)
    start = time.perf_counter()
    front = opened.search(
        algorithm, device, evaluations, seed, budgets=budgets, patience=patience, file=file, progress=progress
    )
    result = {
        "front": [{"architecture": c.key, "accuracy": c.accuracy, "costs": dict(c.costs)} for c in front],
        "hypervolume": front.hypervolume, "reference": list(front.reference), "evaluations": front.evaluations,
        "seconds": time.perf_counter() - start,
    }  # fmt: skip
    shown = [{"architecture": c.key, f"{opened.origin.generated} accuracy": c.accuracy, **c.costs} for c in front]
    _warn(opened)
    told = f"{len(front)} networks, {front.evaluations:,} evaluations, hypervolume {front.hypervolume:.5g}"
    answer(result, as_json, f"{table(shown)}\n{told}")


def evaluate(
    study: StudyName,
    architecture: Annotated[str, typer.Option(help="The key of an architecture.")],
    split: Annotated[str, typer.Option(help="Images to measure the accuracy on: val or test.")] = "val",
    data: Moved = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="With --json: also balanced accuracy and the recall of every class.")
    ] = False,
    precision: Precision = "fp32",
    as_json: Json = False,
) -> None:
    """Measure the accuracy of a network on validation or test images, with the weights of the study."""
    opened = _open(study).with_images(data)
    found = opened.recognised([opened.architecture(architecture)], split, precision)[0]
    result: dict[str, object] = {"architecture": architecture, "accuracy": found.accuracy, "split": split}
    if precision != "fp32":
        result["precision"] = precision
    if per_class:
        result |= {"balanced_accuracy": found.balanced, "majority_share": found.majority, "recall": found.recall}
    how = f"measured{', in eight bits' * (precision != 'fp32')}, {opened.origin.weights}, {found.images:,} images"
    text = f"{architecture}: {found.accuracy:.2%} on {split} images ({how})"
    text += f"\nbalanced accuracy {found.balanced:.2%}; always naming the largest class gives {found.majority:.2%}"
    answer(result, as_json, f"{text}\nrecall: " + ", ".join(f"{n} {v:.1%}" for n, v in found.recall.items()))


def measure(
    study: StudyName,
    architecture: Annotated[str, typer.Option(help="The key of an architecture.")],
    threads: Annotated[int, typer.Option(help="Number of threads that onnxruntime uses.")] = 1,
    data: Moved = None,
    precision: Precision = "fp32",
    as_json: Json = False,
) -> None:
    """Measure the latency of a network on this machine, as an ONNX file in onnxruntime."""
    from explorer.core.files import scratch
    from explorer.devices.measure import measure_file
    from explorer.devices.quantities import checked_precision
    from explorer.exports import export as export_network

    opened = _open(study).with_images(data)
    candidate = opened.candidate(opened.architecture(architecture))
    with scratch("explorer-measure-") as folder:
        form = "int8" if checked_precision(precision) == "int8" else "onnx"
        bundle = export_network(opened, candidate, folder / "out", [form], images=200)
        result = {"architecture": architecture, "precision": precision} | measure_file(bundle.files[form], threads)
    text = (f"{result['latency_ms']:.4g} ms +- {result['spread_ms']:.2g} (measured: {result['hardware']}, "
            f"{result['runtime']}, {threads} thread(s), batch 1)")  # fmt: skip
    answer(result, as_json, text)


def export(
    study: StudyName,
    out: Out,
    architecture: Annotated[str | None, typer.Option(help="The key of an architecture.")] = None,
    budget: Budgets = None,
    generator: Generator = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help="One of {}; repeatable.")] = None,
    weights: Annotated[
        Path | None, typer.Option(help="Checkpoint of once-for-all with the weights, if the study has none.")
    ] = None,
    fine_tune: Annotated[int, typer.Option(help="Epochs to fine-tune the network before the export.")] = 0,
    data: Moved = None,
    unchecked: Annotated[
        bool,
        typer.Option(
            "--unchecked",
            help="Also accept images other than those of the training; the card says so and has no test accuracy.",
        ),
    ] = False,
    precision: Annotated[
        str,
        typer.Option(
            help="fp32, or int8: a budget's network is then the best in eight bits, and an int8 file is written, too."
        ),
    ] = "fp32",
    as_json: Json = False,
) -> None:
    """Export a network as ONNX or in other formats, with a card that describes it.

    The files are checked against the original network, on test images where the study has some.
    """
    from explorer.exports import ExportError
    from explorer.exports import export as export_network

    opened = _open(study, parse_budget(budget), precision).with_images(data, checked=not unchecked)
    candidate = candidate_of(opened, budget, architecture, generator)
    try:
        bundle = export_network(
            opened, candidate, out, formats, weights=weights, fine_tune=fine_tune, progress=progress
        )
    except ExportError as error:
        print(f"explorer: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    result = {
        "architecture": candidate.key, "folder": str(bundle.folder),
        "files": {name: str(path) for name, path in bundle.files.items()}, "check": bundle.check,
        "formats": bundle.formats, "notes": bundle.notes,
    }  # fmt: skip
    lines = [str(path) for path in bundle.files.values()]
    if "same_top1" in bundle.check:
        lines.append(said_of(bundle.check))
    for name in ("int8", "tflite"):
        if "drop" in (found := bundle.formats.get(name, {})):
            lines.append(f"{name}: {accuracy_words(found)}, {-found['drop']:+.2f} points")
        if "arena_bytes" in found:
            ram, flash = (found[key] / 1024 for key in ("arena_bytes", "flash_bytes"))
            lines.append(f"{name}: {ram:.4g} kB of RAM for activations (measured), {flash:.4g} kB of flash")
    lines += bundle.notes
    answer(result, as_json, "\n".join(lines))


def _warn(study: Study) -> None:
    """Say on stderr where predicted accuracies do not tell networks apart."""
    if study.predictor.warning:
        print(f"explorer: note: {study.predictor.warning}", file=sys.stderr)


def quantise(
    study: StudyName,
    out: Out,
    networks: Annotated[int, typer.Option(help="How many networks are measured in eight bits.")] = 200,
    device: Annotated[
        list[str] | None,
        typer.Option(
            "--device",
            help="A device to add; repeatable. Default: cpu-int8, ram_kb and flash_kb, where they price every network.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Add accuracies in eight bits to a copy of a study, for `--precision int8`.

    Some networks are measured with eight-bit weights and activations, as they would be exported.
    A predictor is fitted to them, with a band of its own.
    """
    from explorer.evaluators import Predictor
    from explorer.study.quantise import quantise as quantise_study

    made = quantise_study(_open(study), out, networks, device, progress)
    predictor = made.in_precision("int8").predictor
    assert isinstance(predictor, Predictor)
    quality = predictor.quality
    networks = int(quality["held_out"])
    value = {"study": str(made.folder), "targets": made.targets, "networks": networks, "quality": quality}
    text = (
        f"study {made.name!r} in {made.folder}: {networks} networks measured in eight bits; accuracy changes "
        f"by {-100 * quality['drop']:+.2f} points on average, predicted within {100 * quality['drop_mae']:.2f} (held "
        f"out), the accuracy with a band of ±{quality['half_width']:.2%}; targets {', '.join(made.targets)}"
    )
    answer(value, as_json, text)


def _open(study: str, named: Iterable[str] = (), precision: str | None = None) -> Study:
    """Open a study; those of the named devices that it lacks and that are calculated, such as `ram_kb`, are added."""
    from explorer.study import open_study

    opened = open_study(study)
    opened = opened if precision is None else opened.in_precision(precision)
    if all(name in opened.devices for name in named):
        return opened
    from explorer.study.add_device import with_calculated

    return with_calculated(opened, named)
