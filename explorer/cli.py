"""The `explorer` command: one thin function per verb.

Wrong input ends with one plain line on stderr and exit code 2; Ctrl-C with 130. With `--json`, stdout holds one JSON
document and nothing else; progress goes to stderr.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from explorer import cli_bench, cli_device, cli_networks
from explorer.errors import InputError, unknown
from explorer.files import expanded
from explorer.terminal import Json, Seed, answer, interruptible, plain, progress, table

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
                  help="Train one supernet and one generator; then a network for any budget.")  # fmt: skip

app.add_typer(cli_device.app, name="device")
app.command()(cli_networks.rank)
app.command()(cli_networks.train_network)
app.command()(cli_networks.prune)
app.command()(cli_bench.bench)

StudyName = Annotated[str, typer.Argument(help="A study's name or folder.")]
Out = Annotated[Path, typer.Option("--out", help="An empty or new folder.")]
Budgets = Annotated[list[str] | None, typer.Option("--budget", help="DEVICE=VALUE, repeatable.")]
Generator = Annotated[str | None, typer.Option("--generator", help="Which generator of the study.")]
Port = Annotated[int | None, typer.Option(help="Any free one unless given.")]

_resume_hint = ""


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command; returns its exit code."""
    global _resume_hint
    _resume_hint = ""
    try:
        with interruptible():
            code = int(app(arguments, standalone_mode=False) or 0)
    except InputError as error:
        return _fail(str(error))
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(getattr(error, "message", error), file=sys.stderr)
            return 2
        describe_error = getattr(error, "format_message", None)
        return _fail(describe_error() if describe_error else str(error))
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    if code == 130:
        print(f"\nstopped{_resume_hint}", file=sys.stderr)
    return code


def _fail(message: str) -> int:
    print("explorer: " + plain(" ".join(message.split())), file=sys.stderr)
    return 2


def _all_studies() -> Iterable[Any]:
    """Every study that opens; of the others one line on stderr each."""
    from explorer.study import open_study, study_names

    for name in study_names():
        try:
            yield open_study(name)
        except InputError as error:
            print(f"explorer: study {name!r} is left out: {error}", file=sys.stderr)


def _open(study: str) -> Any:
    from explorer.study import open_study

    return open_study(study)


def parse_budget(items: list[str] | None) -> dict[str, float]:
    """`["mobile=5"]` -> `{"mobile": 5.0}`.

    Raises:
        InputError: not DEVICE=NUMBER, or a device twice.
    """
    budget: dict[str, float] = {}
    for item in items or []:
        name, sign, text = item.partition("=")
        try:
            value = float(text)
        except ValueError:
            sign = ""
        if not sign or not name:
            raise InputError(f"budget {item!r} is not DEVICE=NUMBER, for example mobile=0.5")
        if name in budget:
            raise InputError(f"budget {item!r}: {name} is bounded twice")
        budget[name] = value
    return budget


def _asked(study: Any, items: list[str] | None, generator: str | None) -> tuple[dict[str, float], Any]:
    budget = parse_budget(items)
    if not budget:
        raise InputError(f"no budget given; for example --budget {study.targets[0]}={study.knee(study.targets[0]):.3g}")
    return budget, study.generate(budget, generator)


def _candidate(study: Any, budget_items: list[str] | None, key: str | None, generator: str | None) -> Any:
    """A network by key or by budget."""
    if (key is None) == (not budget_items):
        raise InputError("give either --architecture KEY or --budget DEVICE=VALUE")
    if key is not None:
        return study.candidate(study.architecture(key))
    budget, candidate = _asked(study, budget_items, generator)
    if not candidate.feasible:
        raise InputError(study.nearest_line(budget, candidate))
    return candidate


def describe(candidate: Any, study: Any) -> str:
    """A network in a few lines."""
    costs = ", ".join(f"{n} {v:.4g} {study.devices[n].unit}" for n, v in candidate.costs.items())
    lo, hi = candidate.interval
    return f"{candidate.key}\n  predicted accuracy {candidate.accuracy:.2%} ({lo:.2%} to {hi:.2%})\n  {costs}"


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name or TOML file.")],
    out: Out, data: Annotated[str | None, typer.Option(help="folder:PATH or a data set's name.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where a run stopped.")] = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Train a study: supernet, scores, predictor, fronts, generator."""
    global _resume_hint
    _resume_hint = f"; go on with: explorer train {recipe} --out {out} --resume"
    import explorer

    start = time.monotonic()
    study = explorer.train(recipe, out, data=data, resume=resume, progress=progress)
    result = {"study": str(study.folder), "name": study.name, "seconds": time.monotonic() - start}
    answer(result, as_json, f"study {study.name!r} in {study.folder} ({result['seconds']:.0f} s)")


@app.command()
def studies(as_json: Json = False) -> None:
    """List studies, one's own and those shipped."""
    rows = []
    for study in _all_studies():
        ranges = {f"{t}_ms": list(study.budget_range(t)) for t in study.targets}
        rows.append({
            "study": study.folder.name, "title": study.manifest.title, "space": study.space.name,
            "evaluations": len(study.scored.codes),
            "generators": study.generators, **ranges, "folder": str(study.folder),
        })  # fmt: skip
    answer(rows, as_json, table(rows))


@app.command()
def devices(as_json: Json = False) -> None:
    """List devices with provenance."""
    from explorer.devices import device_names, load_device

    rows = []
    for name in device_names():
        device = load_device(name)
        rows.append({"device": name, "unit": device.unit, "provenance": device.provenance.kind,
                     "about": str(device.provenance), "note": device.provenance.note})  # fmt: skip
    answer(rows, as_json, table(rows))


@app.command()
def spaces(as_json: Json = False) -> None:
    """List search spaces with sizes and cost ranges."""
    from explorer.devices import load_device
    from explorer.limits import cheapest, dearest
    from explorer.spaces import SPACES

    rows = []
    for name, space in SPACES.items():
        row: dict[str, Any] = {"space": name, "decisions": len(space.decisions), "architectures": space.size}
        for count in ("macs_m", "params_m"):
            device = load_device(count)
            ends = [cheapest(space, device), dearest(space, device)]
            row[count] = [float(device.cost(space, end[None])[0]) for end in ends]
        rows.append(row)
    answer(rows, as_json, table([r | {"architectures": f"{float(r['architectures']):.4g}"} for r in rows]))


@app.command()
def generators(as_json: Json = False) -> None:
    """List the generators of all studies."""
    rows = []
    for study in _all_studies():
        for generator in study.generators:
            g = study.generator(generator)
            rows.append({"generator": generator, "space": study.space.name, "parameters": g.parameters,
                         "study": study.folder.name,
                         "devices": list(g.code.devices) if hasattr(g, "code") else list(study.devices)})  # fmt: skip
    answer(rows, as_json, table(rows))


@app.command()
def generate(study: StudyName, budget: Budgets = None, generator: Generator = None, as_json: Json = False) -> None:
    """The network for a budget."""
    opened = _open(study)
    opened.generator(generator)
    start = time.perf_counter()
    asked, candidate = _asked(opened, budget, generator)
    seconds = time.perf_counter() - start
    result = {
        "architecture": candidate.key, "accuracy": candidate.accuracy, "interval": list(candidate.interval),
        "costs": dict(candidate.costs), "feasible": candidate.feasible, "generator": candidate.generator,
        "seconds": seconds,
    }  # fmt: skip
    answer(result, as_json, describe(candidate, opened))
    if not candidate.feasible:
        raise InputError(opened.nearest_line(asked, candidate))


@app.command()
def search(
    study: StudyName, algorithm: Annotated[str, typer.Option(help="memetic, nsga2, sms-emoa, spea2, random, "
                                                             "constrained.")] = "memetic",
    device: Annotated[list[str] | None, typer.Option("--device", help="Repeatable; all targets unless given.")] = None,
    budget: Budgets = None, evaluations: Annotated[int, typer.Option(help="Distinct networks.")] = 100_000,
    seed: Seed = 0,
    patience: Annotated[int | None, typer.Option(help="Stop after so many evaluations without a gain.")] = None,
    file: Annotated[Path | None, typer.Option(help="Results are saved there; where it exists, go on.")] = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Search the front of predicted accuracy against costs."""
    global _resume_hint
    if file is not None:
        _resume_hint = f"; the same command goes on from {file}"
    opened, budgets = _open(study), parse_budget(budget)
    start = time.perf_counter()
    front = opened.search(
        algorithm, device, evaluations, seed, budgets=budgets, patience=patience, file=file, progress=progress
    )
    result = {
        "front": [{"architecture": c.key, "accuracy": c.accuracy, "costs": dict(c.costs)} for c in front],
        "hypervolume": front.hypervolume, "reference": list(front.reference), "evaluations": front.evaluations,
        "seconds": time.perf_counter() - start,
    }  # fmt: skip
    shown = [{"architecture": c.key, "predicted accuracy": c.accuracy, **c.costs} for c in front]
    told = f"{len(front)} networks, {front.evaluations:,} evaluations, hypervolume {front.hypervolume:.5g}"
    answer(result, as_json, f"{table(shown)}\n{told}")


@app.command()
def evaluate(
    study: StudyName, architecture: Annotated[str, typer.Option(help="A key.")],
    split: Annotated[str, typer.Option(help="val or test.")] = "val", as_json: Json = False,
) -> None:  # fmt: skip
    """Measure accuracy on images, with inherited weights."""
    opened = _open(study)
    accuracy = float(opened.evaluate([opened.architecture(architecture)], split)[0])
    result = {"architecture": architecture, "accuracy": accuracy, "split": split}
    answer(result, as_json, f"{architecture}: {accuracy:.2%} on {split} images (measured, inherited weights)")


@app.command()
def measure(
    study: StudyName, architecture: Annotated[str, typer.Option(help="A key.")],
    threads: Annotated[int, typer.Option(help="Of the runtime.")] = 1, as_json: Json = False,
) -> None:  # fmt: skip
    """Measure the latency of the exported network on this machine."""
    from explorer.devices.measure import measure_file
    from explorer.export import export as export_network

    opened = _open(study)
    candidate = opened.candidate(opened.architecture(architecture))
    with tempfile.TemporaryDirectory() as scratch:
        bundle = export_network(opened, candidate, Path(scratch) / "out", ["onnx"], images=200)
        result = {"architecture": architecture} | measure_file(bundle.files["onnx"], threads)
    text = (f"{result['latency_ms']:.4g} ms +- {result['spread_ms']:.2g} (measured: {result['hardware']}, "
            f"{result['runtime']}, {threads} thread(s), batch 1)")  # fmt: skip
    answer(result, as_json, text)


@app.command()
def export(
    study: StudyName, out: Out, architecture: Annotated[str | None, typer.Option(help="A key.")] = None,
    budget: Budgets = None, generator: Generator = None,
    formats: Annotated[list[str] | None, typer.Option("--format", help="onnx, int8, torch, source, ofa.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A checkpoint of once-for-all, for a study without.")] = None,
    fine_tune: Annotated[int, typer.Option(help="Epochs on the training images before.")] = 0, as_json: Json = False,
) -> None:  # fmt: skip
    """Write a network as ONNX (or other files) with its card, checked on real test images."""
    from explorer.export import ExportError
    from explorer.export import export as export_network

    opened = _open(study)
    candidate = _candidate(opened, budget, architecture, generator)
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
        "formats": bundle.formats,
    }  # fmt: skip
    lines = [*(str(path) for path in bundle.files.values()), said_of(bundle.check)]
    if "int8" in bundle.formats:
        found = bundle.formats["int8"]
        lines.append(f"int8: test accuracy {found['test_accuracy']:.2%} (measured, {-found['drop']:+.2f} points)")
    answer(result, as_json, "\n".join(lines))


@app.command()
def report(
    study: StudyName,
    out: Annotated[Path | None, typer.Option(help="A file or folder; STUDY-report.html unless given.")] = None,
    generator: Generator = None, as_json: Json = False,
) -> None:  # fmt: skip
    """Write one self-contained HTML page of a study, to mail to somebody."""
    from explorer.report import write_report

    path = write_report(_open(study), out, generator)
    answer({"file": str(path), "bytes": path.stat().st_size}, as_json, f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def said_of(check: dict[str, float]) -> str:
    """An export's check in words."""
    if "same_top1" not in check:
        return "nothing to check"
    images = f"{check['images']} {'test images' if 'test_accuracy' in check else 'random patterns (no images here)'}"
    said = f"same class on all of {images}, logits within {check['max_difference']:.1e}"
    return said + (f"; test accuracy {check['test_accuracy']:.2%} (measured)" if "test_accuracy" in check else "")


@app.command()
def suggest(
    data: Annotated[str, typer.Argument(help="folder:PATH, a folder or an archive, or a data set's name.")],
    out: Annotated[Path | None, typer.Option(help="Write the recipe to this TOML file.")] = None,
    minutes: Annotated[float, typer.Option(help="That the training should take here.")] = 15, as_json: Json = False,
) -> None:  # fmt: skip
    """Suggest a recipe for one's own images; this machine is timed for it."""
    import tomli_w

    from explorer.errors import require_torch
    from explorer.files import write_text

    require_torch("timing a training")
    from explorer.suggest import suggest as suggest_recipe

    found = suggest_recipe(data, minutes, progress=progress)
    recipe = found.recipe.model_dump(exclude_none=True)
    if out is not None:
        write_text(out, tomli_w.dumps(recipe))
    result = {
        "recipe": recipe, "images": found.images, "classes": found.classes, "size": found.size,
        "seconds": found.seconds, "parts": found.parts,
    }  # fmt: skip
    text = (
        f"{found.images:,} images of {found.classes} classes, about {found.size} px: space {recipe['space']}, "
        f"{recipe['supernet']['epochs']:g} epochs; about {found.seconds / 60:.0f} min here (estimated)"
    )
    answer(result, as_json, text + (f"\nexplorer train {out} --out DIR" if out else ""))


@app.command()
def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Open the dashboard at the end.")] = True,
    port: Port = None, as_json: Json = False,
) -> None:  # fmt: skip
    """The main job end to end on the digits data, then the dashboard."""
    from explorer.serve import address

    where = address(port) if serve else None
    import explorer
    from explorer.files import home

    start = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="explorer-demo-"))
    say = (lambda text: print(text, file=sys.stderr, flush=True)) if as_json else (lambda text: print(text, flush=True))
    say("1. Training a supernet, a predictor and a generator on 1,077 handwritten digits ...")
    study = explorer.train("digits", root / "digits", progress=progress)
    trained = time.monotonic() - start
    say(f"   done in {trained:.0f} s: {study.folder}\n2. Networks for three budgets per target:")
    candidates = []
    for target in study.targets:
        low, high = study.budget_range(target)
        for share in (0.1, 0.5, 1.0):
            budget = {target: low * (high / low) ** share}
            c = study.generate(budget)
            candidates.append({"budget": budget, "architecture": c.key, "accuracy": c.accuracy,
                               "costs": dict(c.costs), "feasible": c.feasible})  # fmt: skip
            say(f"   {target} <= {budget[target]:.3f} ms: {c.key}, predicted accuracy {c.accuracy:.1%}, "
                f"{target} {c.costs[target]:.3f} ms")  # fmt: skip
    say("3. Exporting one of them ...")
    chosen_candidate = study.generate({study.targets[0]: study.knee(study.targets[0])})
    bundle = explorer.export(study, chosen_candidate, root / "export")
    check = bundle.check
    say(f"   {bundle.files['onnx']}\n   checked: same class on all {check['images']} test images, logits within "
        f"{check['max_difference']:.0e}; test accuracy {check['test_accuracy']:.1%} (measured)")  # fmt: skip
    seconds = time.monotonic() - start
    if as_json:
        result = {"study": str(study.folder), "candidates": candidates, "export": str(bundle.files["onnx"]),
                  "seconds": seconds}  # fmt: skip
        print(json.dumps(result), flush=True)
    say(f"Finished in {seconds:.0f} s. More studies: explorer studies (yours go to {home() / 'studies'})")
    if serve:
        _serve_page(str(study.folder), where, browser=False)


@app.command()
def dashboard(
    study: Annotated[str | None, typer.Argument(help="The study to open on.")] = None, port: Port = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser")] = True,
    data_root: Annotated[Path | None, typer.Option(help="Let the page train on images below this folder.")] = None,
    preheat: Annotated[int, typer.Option(help="Kernels that have the page ready.", min=0, max=16)] = 1,
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    host: Annotated[str, typer.Option(help="Address to bind to; another than loopback demands a token.")] = "127.0.0.1",
    base: Annotated[str, typer.Option(help="Path of the page behind a proxy, such as /explorer/.")] = "/",
    token: Annotated[str | None, typer.Option(envvar="EXPLORER_TOKEN", help="A token of one's own.")] = None,
) -> None:  # fmt: skip
    """Serve the page on this machine: for this machine alone, unless a host is named."""
    from explorer.files import is_folder
    from explorer.serve import address

    if study is not None:
        study = str(_open(study).folder.resolve())
    if data_root is not None and not is_folder(expanded(data_root)):
        raise InputError(f"data root {str(data_root)!r} is no folder")
    if theme not in ("light", "dark"):
        raise unknown("theme", theme, ("light", "dark"))
    root = data_root and expanded(data_root).resolve()
    _serve_page(study, address(port, host, base, token), browser, root, preheat, theme)


def _serve_page(
    study: str | None, where: Any, browser: bool, data_root: Path | None = None, preheat: int = 0, theme: str = "light",
) -> None:  # fmt: skip
    import shutil

    from explorer.serve import page_environment, page_folder, voila_command

    folder = page_folder(where)
    print(f"Dashboard: {where.url}  (Ctrl-C ends it)", flush=True)
    try:
        environment = page_environment(study, data_root=data_root, theme=theme)
        _serve(voila_command(browser, preheat, theme), folder, environment)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a server until it ends or Ctrl-C; a termination of this process ends it too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    server = subprocess.Popen(command, cwd=folder, env=environment)
    try:
        code = server.wait()
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(10)
    if code:
        raise typer.Exit(1)


@app.command()
def lab(port: Port = None, browser: Annotated[bool, typer.Option("--browser/--no-browser")] = True) -> None:
    """Open the notebooks in JupyterLab."""
    from explorer.serve import free_port, lab_command, lab_folder, page_environment

    folder = lab_folder()
    chosen = free_port(port)
    command = lab_command(folder, chosen, browser)
    print(f"JupyterLab on {folder}, port {chosen}  (Ctrl-C ends it)", flush=True)
    _serve(command, folder, page_environment(None, page=False))


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this installation; exit code 1 where something is broken."""
    from explorer.doctor import checks

    rows = checks()
    answer(rows, as_json, table([{"": row["state"], "what": row["what"], "detail": row["detail"]} for row in rows]))
    if any(row["state"] == "broken" for row in rows):
        raise typer.Exit(1)
