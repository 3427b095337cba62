"""Starting, stopping and removing trainings from a page: each is a process of its own, which outlives the page."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from explorer.core.errors import InputError
from explorer.core.files import home
from explorer.study.journal import STARTING, Training, beside, forget, journal_of, save
from explorer.study.lock import locked


def patient() -> dict[str, str]:
    """The environment of work beside busy kernels: its threads wait without spinning, which would slow each other."""
    return os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}


def launch(arguments: Sequence[str], out: Path, where: str = "") -> subprocess.Popen:
    """Start `explorer train ARGUMENTS --out OUT` as a process that goes on when this one ends.

    Args:
        arguments: the recipe's name or file, and options.
        out: the new study's folder.
        where: the working directory, by default `$EXPLORER_HOME`.

    Raises:
        InputError: a training runs in this folder, the folder exists and is not to be resumed, nothing can be written
            in `$EXPLORER_HOME`, or no process can be started.
    """
    out, now, log = out.absolute(), time.time(), beside(out, ".log")
    recipe, *options = arguments
    where = where if where and os.path.isdir(where) else str(home())  # the page's own folder ends with it
    earlier = journal_of(out)
    resumed = "--resume" in options
    if earlier is not None and earlier.running:
        raise InputError(f"training {earlier.name!r} is running")
    if not resumed:  # the name is reserved: photographs may be read for minutes before anything is written
        try:
            out.mkdir(parents=True)
        except FileExistsError as error:
            raise InputError(f"folder {str(out)!r} is there already; choose another name") from error
        except OSError as error:
            raise InputError(f"cannot write {str(out)!r}: {error.strerror or error}") from error
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        if recipe.endswith(".toml"):  # kept, because the page's recipe lies in a folder for temporary files
            kept = beside(out, ".toml")
            if Path(recipe) != kept:
                shutil.copyfile(recipe, kept)
            recipe = str(kept)
        begun = Training(str(out), 0, now, now, (recipe, *options), where)
        if earlier is not None and resumed:
            begun = replace(earlier.resumed(begun), arguments=begun.arguments, where=where)
        save(begun)
        command = [sys.executable, "-m", "explorer", "train", recipe, "--out", str(out), *options]
        with open(log, "w", encoding="utf-8") as file:
            process = subprocess.Popen(
                command, env=patient(), stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
                cwd=where,
            )  # fmt: skip
        if (now_there := journal_of(out)) is not None and now_there.what == STARTING:
            save(replace(now_there, process=process.pid))
    except OSError as error:
        if earlier is not None:
            save(earlier)
        else:
            forget(Training(str(out), 0, now, now))
        if not resumed:
            with contextlib.suppress(OSError):
                out.rmdir()
        raise InputError(f"the training cannot be started: {error.strerror or error}") from error
    threading.Thread(target=_wait, args=(process, out), daemon=True).start()
    return process


def _wait(process: subprocess.Popen, out: Path) -> None:
    """When a training has ended early, write down why: a process that fails while it starts writes no journal."""
    code, journal = process.wait(), journal_of(out)
    if code and journal is not None and not journal.error:
        save(replace(journal, error=_why(code, beside(out, ".log"))))


def _why(code: int, log: Path) -> str:
    """Why a process ended: the last line that it printed if that is an error, not its progress."""
    if code < 0:
        asked = -code in (signal.SIGINT, signal.SIGTERM)
        return "stopped" if asked else f"its process was ended by signal {-code} (out of memory?)"
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [""]
    if lines[-1].startswith("KeyboardInterrupt"):
        return "stopped"
    return lines[-1].removeprefix("explorer: ") if lines[-1].startswith("explorer: ") else f"it ended with code {code}"


def _fresh(training: Training) -> Training:
    """The training as it is now: what a page shows may be some seconds old."""
    return journal_of(Path(training.folder)) or training


def stop(training: Training) -> None:
    """Interrupt a training, as Ctrl-C and a notebook's stop button do; what it has done stays, so that it can go on.

    Raises:
        InputError: its process cannot be interrupted from here.
    """
    training = _fresh(training)
    if not training.running:
        return
    if training.host != platform.node():
        raise InputError(f"training {training.name!r} runs on {training.host!r}; stop it there")
    if training.process in (0, os.getpid()):
        raise InputError(f"training {training.name!r} is starting or runs in this notebook; interrupt it there")
    try:
        # while Python starts, an import may swallow an interrupt
        os.kill(training.process, signal.SIGTERM if training.what == STARTING else signal.SIGINT)
    except OSError as error:
        raise InputError(f"training {training.name!r} cannot be stopped: {error.strerror or error}") from error


def go_on(training: Training) -> subprocess.Popen:
    """Start a stopped training again; it goes on from its last checkpoint.

    Raises:
        InputError: it runs, or it was started in a way that cannot be repeated.
    """
    training = _fresh(training)
    if training.running:
        raise InputError(f"training {training.name!r} is running")
    if not training.arguments:
        raise InputError(f"training {training.name!r} was started from Python; call `explorer.train` with resume=True")
    options = [option for option in training.arguments if option != "--resume"]
    return launch([*options, "--resume"], Path(training.folder), training.where)


def deletes(training: Training) -> bool:
    """Whether removing a training deletes a folder: an unfinished one among the page's own studies."""
    folder = Path(training.folder)
    return folder.parent == (home() / "studies").absolute() and folder.is_dir() and not training.finished


def remove(training: Training) -> None:
    """Forget a training that does not run; the unfinished folder is deleted if it is one of the page's own.

    Raises:
        InputError: it runs.
    """
    training = _fresh(training)
    folder = Path(training.folder)
    if training.running:
        raise InputError(f"training {training.name!r} is running; stop it first")
    if deletes(training):
        with locked(folder):
            shutil.rmtree(folder, ignore_errors=True)
    forget(training)
