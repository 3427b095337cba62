"""The `explorer` command: its subcommands and exit codes.

Wrong input ends with one line on stderr and exit code 2; Ctrl-C ends with 130, a termination (SIGTERM) with 143. With
`--json`, stdout holds one JSON document and nothing else; progress goes to stderr.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer
from typer.exceptions import TyperException

from explorer.cli import data, device, lists, looking, machine, networks, pages, study
from explorer.cli.terminal import TERMINATED, interruptible, plain, stop_code, stop_hint
from explorer.core.errors import InputError, Note

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
                  help="Train one supernet and one generator; then a network for any budget.")  # fmt: skip
app.add_typer(data.app, name="data")
app.add_typer(device.app, name="device")
for verb in (
    pages.demo, pages.dashboard, pages.lab, pages.publish, pages.report,
    study.suggest, study.train, study.generate, study.search, study.evaluate, study.measure,
    study.export, study.quantise,
    looking.answers, looking.classify,
    lists.studies, lists.devices, lists.boards, lists.spaces, lists.generators,
    networks.rank, networks.train_network, networks.prune,
    machine.bench, machine.doctor,
):  # fmt: skip
    app.command()(verb)


# parameter -> the registry whose entries its help lists, as "module:registry"
TABLES = {
    "algorithm": "explorer.searches:ALGORITHMS", "board": "explorer.devices.boards:BOARDS",
    "chip": "explorer.devices.ethos_u:CHIPS", "formats": "explorer.exports:FORMATS",
    "generator": "explorer.generators:METHODS", "start": "explorer.supernets.sources:SOURCES",
}  # fmt: skip


def name_entries(command: Any) -> None:
    """Fill the entries of the registries into the help texts of a command and its subcommands."""
    for below in getattr(command, "commands", {}).values():
        name_entries(below)
    for parameter in command.params:
        if "{}" in (getattr(parameter, "help", None) or ""):
            module, _, table = TABLES[parameter.name].partition(":")
            parameter.help = parameter.help.format(", ".join(getattr(import_module(module), table)))


def refuse_repeated(command: Any, arguments: Sequence[str]) -> None:
    """Refuse an option that is given twice and takes one value: the last one would silently count.

    Raises:
        InputError: there is one.
    """
    words = list(arguments)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    words = words[: words.index("--")] if "--" in words else words
    for parameter in getattr(command, "params", []):
        if getattr(parameter, "multiple", False) or getattr(parameter, "is_flag", False):
            continue
        names = [name for name in parameter.opts if name.startswith("--")]
        given = [word for word in words if word.partition("=")[0] in names]
        if len(given) > 1:
            raise InputError(f"option {names[0]} is given {len(given)} times; it takes one value")


def main() -> None:
    """Entry point of the console script."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a letter shows its number
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    with warnings.catch_warnings():
        shown: Any = warnings.showwarning
        warnings.simplefilter("always", Note)
        warnings.showwarning = lambda message, category, *where: (
            note(message) if issubclass(category, Note) else shown(message, category, *where)
        )
        return _run(arguments)


def _run(arguments: list[str]) -> int:
    try:
        with interruptible():
            command = typer.main.get_command(app)
            if "--help" in arguments:
                name_entries(command)
            refuse_repeated(command, arguments)
            code = int(command(arguments, standalone_mode=False) or 0)
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
    except SystemExit as end:
        if end.code != TERMINATED:
            raise
        code = 130
    if code == 130:
        code = stop_code()
        print(f"\nstopped{stop_hint()}", file=sys.stderr)
    return code


def note(message: Warning | str) -> None:
    """Print a note of the library as one line on stderr."""
    print("explorer: note: " + plain(" ".join(str(message).split())), file=sys.stderr)


def _fail(message: str) -> int:
    print("explorer: " + plain(" ".join(message.split())), file=sys.stderr)
    return 2
