"""What commands print: a result as text or as one JSON document, tables, progress on stderr."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from explorer.core.errors import InputError

StudyName = Annotated[str, typer.Argument(help="A study's name or folder.")]
Out = Annotated[Path, typer.Option("--out", help="An empty or new folder.")]
Generator = Annotated[
    str | None,
    typer.Option(
        "--generator", help="A generator of the study, by its method: {}. Default: the best on held-out budgets."
    ),
]
Moved = Annotated[
    str | None,
    typer.Option("--data", help="folder:PATH, the new place of the study's images; their contents are compared."),
]
Precision = Annotated[str, typer.Option(help="Of the network that runs: fp32, or int8 (eight bits).")]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0, max=2**31 - 1)]
SkipBroken = Annotated[bool, typer.Option("--skip-broken", help="Leave out damaged files instead of refusing them.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]


def answer(value: Any, as_json: bool, text: str) -> None:
    """Print a result as text or as JSON; with `--json` nothing else goes to stdout.

    Raises:
        InputError: the output cannot be written, for example to a full disk.
    """
    try:
        print(json.dumps(value, allow_nan=False) if as_json else plain(text), flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        with contextlib.suppress(OSError):  # what is left in its buffer cannot be written at the end either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise InputError(f"cannot write the result: {error.strerror or error}") from error


def plain(text: str) -> str:
    """Text without control characters, which could command a terminal: they are escaped, except newline and tab."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


TERMINATED = 128 + signal.SIGTERM
_asked: list[int] = []  # signals that asked this command to stop
_hints: list[str] = []


def hint_when_stopped(text: str) -> None:
    """Set the line to print if this command is stopped: how to continue it."""
    _hints.append(text)


def stop_hint() -> str:
    """The last hint of this command, formatted to follow "stopped"."""
    return f"; {_hints[-1]}" if _hints else ""


def stop_code() -> int:
    """The exit code of a command that was stopped: 130 after Ctrl-C, 143 after a termination (SIGTERM)."""
    return 128 + (_asked[0] if _asked else signal.SIGINT)


def _end() -> None:
    """Stop this command: with KeyboardInterrupt after Ctrl-C, with SystemExit after a termination.

    A KeyboardInterrupt that passes through `exec` makes Python end by SIGINT, which would be wrong after a termination.
    """
    raise KeyboardInterrupt if _asked[0] == signal.SIGINT else SystemExit(TERMINATED)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C, a termination (SIGTERM) and a closed terminal (SIGHUP) end a command alike, scratch files removed.

    The signals are remembered: if a library swallows the exception (some do while they are imported), the next
    progress step stops the command.
    """

    def stop(number: int, _: Any) -> None:
        _asked.append(number)
        _end()

    _asked.clear()
    _hints.clear()
    if threading.current_thread() is not threading.main_thread():  # only the main thread can handle signals
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup ignores it
        numbers.append(signal.SIGHUP)  # the terminal was closed
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def progress(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    """Show progress on stderr: on a terminal a bar with the time left, elsewhere a line now and then.

    Raises:
        KeyboardInterrupt, SystemExit: the command was told to stop by a signal.
    """
    for item in _shown(items, total, what):
        if _asked:
            _end()
        yield item


def _shown(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        yield from track(items, what, total, console=Console(stderr=True), transient=True)
        return
    start = said = time.monotonic()
    for done, item in enumerate(items):
        yield item
        now = time.monotonic()
        if now - said > 15:
            left = (now - start) / (done + 1) * (total - done - 1)
            print(f"{what}: {done + 1}/{total}, {left:.0f} s left", file=sys.stderr, flush=True)
            said = now


def table(rows: list[dict[str, Any]]) -> str:
    """Format rows as aligned columns of plain text; a row may lack some of the columns."""
    if not rows:
        return "(none)"
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names] + [[_cell(row.get(name, "")) for name in names] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in cells)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        span = len(value) == 2 and all(isinstance(v, (int, float)) for v in value)
        return (" to " if span else ", ").join(map(_cell, value))
    return str(value)
