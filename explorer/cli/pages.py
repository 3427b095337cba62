"""The commands that make or serve pages for a browser: `explorer demo`, `dashboard`, `lab`, `report` and `publish`."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from explorer.cli.terminal import Generator, Json, Out, StudyName, answer, progress
from explorer.core.errors import InputError, unknown
from explorer.core.files import expanded, scratch_folder

Port = Annotated[int | None, typer.Option(help="Port to serve on. Default: any free port.")]


def demo(
    serve: Annotated[bool, typer.Option("--serve/--no-serve", help="Serve the dashboard at the end.")] = True,
    port: Port = None,
    as_json: Json = False,
) -> None:
    """Train a study on the digits data, generate networks for some budgets, export one, then serve the dashboard."""
    from explorer.page.serve import address

    where = address(port) if serve else None
    import explorer
    from explorer.cli.wishes import said_of
    from explorer.core.files import home

    start = time.monotonic()
    root = scratch_folder("explorer-demo-")
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
    say(f"   {bundle.files['onnx']}\n   checked: {said_of(check)}")  # fmt: skip
    seconds = time.monotonic() - start
    if as_json:
        result = {"study": str(study.folder), "candidates": candidates, "export": str(bundle.files["onnx"]),
                  "seconds": seconds}  # fmt: skip
        print(json.dumps(result), flush=True)
    say(f"Finished in {seconds:.0f} s. More studies: explorer studies (yours go to {home() / 'studies'})")
    if where is not None:
        say(f"Dashboard: {where.url}  (Ctrl-C ends it)")
        _serve_page(str(study.folder), where, browser=False)


def dashboard(
    study: Annotated[
        str | None, typer.Argument(help="The study that the page shows first: a name or a folder.")
    ] = None,
    port: Port = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser")] = True,
    data_root: Annotated[
        Path | None, typer.Option(help="Let visitors of the page train on images in this folder.")
    ] = None,
    preheat: Annotated[
        int, typer.Option(help="Kernels kept ready for new visitors, so that the page opens faster.", min=0, max=16)
    ] = 1,
    visitors: Annotated[
        int | None, typer.Option(help="Visitors at once. Default: as many as fit into the free memory.", min=1)
    ] = None,
    theme: Annotated[str, typer.Option(help="Colours of the page: light or dark.")] = "light",
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any address other than loopback requires a token.")
    ] = "127.0.0.1",
    base: Annotated[
        str, typer.Option(help="URL path of the page if it runs behind a proxy, such as /explorer/.")
    ] = "/",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="EXPLORER_TOKEN",
            help="Token that visitors need to open the page. Default: a random one where a token is required.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Serve the dashboard, an interactive page; only this machine can open it unless --host is given."""
    from explorer.core.files import is_folder
    from explorer.page.serve import address
    from explorer.study import open_study

    if study is not None:
        study = str(open_study(study).folder.resolve())
    if data_root is not None and not is_folder(expanded(data_root)):
        raise InputError(f"data root {str(data_root)!r} is not a folder")
    if theme not in ("light", "dark"):
        raise unknown("theme", theme, ("light", "dark"))
    root = data_root and expanded(data_root).resolve()
    where = address(port, host, base, token)
    answer({"url": where.url, "study": study}, as_json, f"Dashboard: {where.url}  (Ctrl-C ends it)")
    _serve_page(study, where, browser, root, preheat, theme, visitors and visitors + preheat)


def lab(
    port: Port = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser")] = True,
    as_json: Json = False,
) -> None:
    """Open the notebooks in JupyterLab, as copies in your own folder that you can edit."""
    from explorer.page.serve import free_port, lab_command, lab_folder, page_environment

    folder = lab_folder()
    chosen = free_port(port)
    command = lab_command(folder, chosen, browser)
    answer({"folder": str(folder), "port": chosen}, as_json, f"JupyterLab on {folder}, port {chosen}  (Ctrl-C ends it)")
    _serve(command, folder, page_environment(None, page=False))


def report(
    study: StudyName,
    out: Annotated[
        str | None, typer.Option(help="File, or folder (also with / at the end). Default: STUDY-report.html.")
    ] = None,
    generator: Generator = None,
    as_json: Json = False,
) -> None:
    """Write a report on a study: one self-contained HTML page that can be mailed and opened without this package."""
    from explorer.page.publish import write_report
    from explorer.study import open_study

    path = write_report(open_study(study), out, generator)
    answer({"file": str(path), "bytes": path.stat().st_size}, as_json, f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def publish(study: StudyName, out: Out, generator: Generator = None, as_json: Json = False) -> None:
    """Write a study as a folder for a web site: sliders, joint budgets and pins, without a server."""
    from explorer.page.publish import publish as publish_study
    from explorer.study import open_study

    page = publish_study(open_study(study), out, generator)
    size = sum(path.stat().st_size for path in page.parent.iterdir())
    answer({"file": str(page), "bytes": size}, as_json, f"{page} ({size / 1e6:.1f} MB with all it needs)")


def _serve_page(
    study: str | None,
    where: Any,
    browser: bool,
    data_root: Path | None = None,
    preheat: int = 0,
    theme: str = "light",
    visitors: int | None = None,
) -> None:
    import shutil

    from explorer.page.serve import own_folders, page_environment, page_folder, trouble, voila_command

    if trouble():
        print(f"explorer: note: {trouble()}", file=sys.stderr)
    folder = page_folder(where)
    try:
        own = browser and where.token is None and where.base == "/"  # a page behind a proxy opens no browser here
        environment = page_environment(study, data_root=data_root, theme=theme, own=own) | own_folders(folder)
        _serve(voila_command(browser, preheat, theme, visitors=visitors), folder, environment)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    """Run a server until it ends or this process is stopped; its output is not a result, so it goes to stderr."""
    server = subprocess.Popen(command, cwd=folder, env=environment, stdout=sys.stderr)
    try:
        code = server.wait()
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(10)
    if code:
        raise typer.Exit(1)
