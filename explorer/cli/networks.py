"""`explorer rank`, `train-network` and `prune`: single networks, without a supernet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from explorer.cli.terminal import Json, Seed, answer, progress, table
from explorer.core.architecture import Architecture
from explorer.core.errors import InputError, require_torch, unknown
from explorer.core.files import read_json

if TYPE_CHECKING:
    from explorer.data import Images
    from explorer.spaces import Space

Where = Annotated[str, typer.Argument(metavar="STUDY|SPACE", help="A study's name or folder, or a space.")]
Data = Annotated[str | None, typer.Option(help="digits, fashion-mnist, cifar10 or folder:PATH.")]


def rank(
    where: Where,
    data: Data = None,
    architecture: Annotated[
        list[str] | None, typer.Option(help="An architecture's key, or its string in a benchmark; repeatable.")
    ] = None,
    sample: Annotated[int, typer.Option(help="How many random networks to rank.", min=0, max=1_000_000)] = 0,
    train: Annotated[
        str, typer.Option(help="What to train: head (last layer only), bn (also batch norm) or all (everything).")
    ] = "head",
    seeds: Annotated[int, typer.Option(help="Number of random initialisations per network.")] = 2,
    images: Annotated[int, typer.Option(help="How many training images are used.")] = 2000,
    epochs: Annotated[float, typer.Option(help="Epochs for --train bn or all.")] = 1.0,
    seed: Seed = 0,
    jobs: Annotated[int, typer.Option(help="How many processes work in parallel.", min=1, max=1000)] = 1,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that stores scores, so that later runs can reuse them.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Rank networks by their accuracy with random weights, of which only the last layer is trained.

    This takes seconds per network. With --train, more than the last layer is trained.
    """
    space, usual = _space(where)
    if not architecture and not sample:
        raise InputError("name networks with --architecture KEY, or draw some with --sample N")
    require_torch("explorer rank")
    from explorer.devices import load_device
    from explorer.evaluators import RandomWeights

    chosen = [_network(space, text) for text in architecture or []]
    drawn = space.sample(sample, np.random.default_rng(seed)) if sample else np.zeros((0, len(space.decisions)))
    codes = np.array([*[a.choices for a in chosen], *drawn], np.int8).reshape(-1, len(space.decisions))
    judge = RandomWeights(
        space, _images(space, data or usual), cache=cache, jobs=jobs, progress=progress, train=train, seeds=seeds,
        train_images=images, epochs=epochs,
    )  # fmt: skip
    keys = [Architecture(judge.space, row).key for row in codes]
    scores, macs = judge.scores(codes), load_device("macs_m").cost(judge.space, codes)
    rows: list[dict[str, Any]] = [
        {"architecture": key, "error": s.error, "stderr": s.stderr, "seconds": s.seconds}
        for key, s in zip(keys, scores)
    ]
    shown = [row | {"macs_m": float(cost)} for row, cost in sorted(zip(rows, macs), key=lambda pair: pair[0]["error"])]
    note = (
        "Random weights overrate wide networks and underrate deep ones. Compare networks of similar MACs, "
        "or let everything learn for some seconds: --train all."
    )
    answer({"scores": rows}, as_json, f"{table(shown)}\n{note}")


def train_network(
    where: Where,
    architecture: Annotated[str, typer.Option(help="An architecture's key, or its string in a benchmark.")],
    out: Annotated[Path, typer.Option("--out", help="An empty or new folder.")],
    data: Data = None,
    epochs: Annotated[float, typer.Option(help="Passes over the training images.")] = 10,
    lr: Annotated[float, typer.Option(help="Highest learning rate of the schedule.")] = 0.1,
    batch: Annotated[int, typer.Option(help="Images per training step.")] = 128,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Train a single network from scratch, without a supernet, and write it as ONNX, checked on test images."""
    space, usual = _space(where)
    network = _network(space, architecture)
    require_torch("explorer train-network")
    from explorer.core.config import parse
    from explorer.exports.alone import train_alone
    from explorer.supernets import TrainConfig

    config = parse(TrainConfig, {"epochs": epochs, "lr": lr, "batch": batch}, "explorer train-network")
    facts = train_alone(network, _images(space, data or usual), out, config, seed, progress=progress)
    text = (f"{facts['architecture']}: {facts['val']:.2%} on validation, {facts['test']:.2%} on test images (measured, "
            f"trained alone for {epochs:g} epochs, {facts['seconds']:.0f} s)\n{facts['files']['onnx']}")  # fmt: skip
    answer(facts, as_json, text)


def prune(
    study: Annotated[
        str, typer.Argument(help="Name or folder of a study, whose images, devices and weights are used.")
    ],
    architecture: Annotated[
        str | None, typer.Option(help="Key of a network of the study to prune. Default: a new network of cells.")
    ] = None,
    target_params: Annotated[
        str | None, typer.Option(help="Number of parameters to prune down to, such as 0.2M, 200k or 25%. Default: 10%.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small search of two minutes.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="An empty or new folder. Default: a folder in $EXPLORER_HOME.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Prune operations, filters and weights of a network together, down to a given size.

    The networks of all sizes on the way are kept, as one study.
    """
    require_torch("explorer prune")
    from explorer.study.prune import FamilyConfig
    from explorer.study.prune import prune as run

    config = (FamilyConfig.quick() if quick else FamilyConfig()).model_copy(update={"seed": seed})
    family = run(study, out, architecture, target_params, config, resume, progress)
    about = read_json(family.folder / "pruning.json")["networks"]
    found = family.evaluations
    rows = [
        {"network": a["network"], "params_m": a["params"] / 1e6, "macs_m": macs, "accuracy": accuracy,
         "remaining": a["remaining"]}
        for a, macs, accuracy in zip(about, found["macs_m"].tolist(), found["accuracy"].tolist())
    ]  # fmt: skip
    shown = [{k: v for k, v in row.items() if k != "remaining"} | row["remaining"] for row in rows]
    text = (
        f"{table(shown)}\n{family.folder}: open it with explorer dashboard; masked weights do not reduce the latency."
    )
    answer({"snapshots": rows, "study": str(family.folder)}, as_json, text)


def _images(space: Space, data: str | None) -> Images:
    from explorer.data.datasets import load_dataset
    from explorer.spaces.base import image_size

    if data is None:
        raise InputError(f"space {space.name!r} has no images of its own; add --data NAME")
    return load_dataset(data, 0, image_size(space))


def _space(where: str) -> tuple[Any, str | None]:
    """A space by its name, or a study's space and the name of the study's data set."""
    from explorer.spaces import SPACES
    from explorer.study import open_study, study_names

    if where in SPACES:
        return SPACES[where], None
    try:
        study = open_study(where)
    except InputError:
        if Path(where).exists() or where in study_names():
            raise
        raise unknown("study or space", where, [*study_names(), *SPACES]) from None
    return study.space, study.manifest.data.name


def _network(space: Space, text: str) -> Architecture:
    from explorer.spaces import read_architecture

    return read_architecture(space, text)
