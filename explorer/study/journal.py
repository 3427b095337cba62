"""The journal of a training: what it does and has done, in a file that others can read while it runs.

Every training that this machine runs, started from the shell, a notebook or the page, has a journal in
`$EXPLORER_HOME/trainings`, named after its study's folder. Whoever looks (the page's tab "Training") needs no
connection to the training: either can end and begin again. A lock says whether the training is alive; the operating
system releases it with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from explorer.core.errors import InputError, first_line
from explorer.core.files import home, read_json, write_text
from explorer.core.protocols import Progress

T = TypeVar("T")
POINTS = 200  # of the curve of losses: neighbours are merged when there are more
EVERY = 1.0  # seconds between two writings
STARTING = "starting"
STARTUP = 120.0  # seconds until a training that was started has its lock


@dataclass(frozen=True)
class Training:
    """What is known of a training.

    Attributes:
        folder: its study's folder.
        process: number of the process that runs it.
        begun, updated: seconds since 1970.
        host: name of the machine that it runs on.
        arguments: what `explorer train` got besides the folder, so that it can go on; () if that cannot be said.
        where: the working directory, which relative paths in the recipe refer to.
        what: what is being done, such as "training" or "scoring".
        done, total: how many steps of it are done, and how many it has.
        since: when it began, in seconds since 1970.
        parts: (what, seconds) of everything that is done.
        losses: (step, loss) of the supernet's training, each the mean over some steps.
        steps: number of steps of the supernet's training.
        shape: channels, classes and size of the images; () while they are not read.
        error: why it ended, "" while it runs.
    """

    folder: str
    process: int
    begun: float
    updated: float
    arguments: tuple[str, ...] = ()
    where: str = ""
    host: str = field(default_factory=platform.node)
    what: str = STARTING
    done: int = 0
    total: int = 0
    since: float = 0.0
    parts: list[tuple[str, float]] = field(default_factory=list)
    losses: list[tuple[float, float]] = field(default_factory=list)
    steps: int = 0
    shape: tuple[int, ...] = ()
    error: str = ""

    @property
    def name(self) -> str:
        """The name of the study's folder."""
        return Path(self.folder).name

    @property
    def finished(self) -> bool:
        """Whether the study is complete."""
        return os.path.isfile(os.path.join(self.folder, "study.json"))

    @property
    def left(self) -> float | None:
        """Estimated seconds until what is being done is done, None while that cannot be said."""
        if not 0 < self.done < self.total:  # a search may take more rounds than were planned
            return None
        return (self.updated - self.since) / self.done * (self.total - self.done)

    def resumed(self, now: Training) -> Training:
        """What is known when the process of `now` goes on with this training."""
        known = replace(now, losses=self.losses, parts=self.parts, steps=self.steps)
        return replace(known, arguments=self.arguments, where=self.where) if self.arguments else known

    @property
    def running(self) -> bool:
        """Whether the training's process is alive; a process has some time to start."""
        if self.what == STARTING and not self.error and time.time() - self.updated < STARTUP:
            return True
        return _held(_path(Path(self.folder)).with_suffix(".lock"))


class Journal:
    """Writes the journal of one training.

    Nothing is written before `reserve`, unless the page has begun a journal for this training: a command that is
    refused is not a training.

    Args:
        folder: the study's folder.
        arguments: see `Training.arguments`.
        resume: whether what an earlier run in this folder wrote is kept.
        silent: write nothing, because another process writes this journal.
    """

    def __init__(
        self, folder: Path, arguments: tuple[str, ...] = (), resume: bool = False, silent: bool = False
    ) -> None:
        now, earlier = time.time(), _read(_path(folder))
        self._written, self._merged, self._held = 0.0, 1, list[float]()
        self._silent = silent
        self._now = Training(str(folder.absolute()), os.getpid(), now, now, arguments, os.getcwd())
        self._open = False
        if earlier is not None:
            self._open = resume or (earlier.what == STARTING and not earlier.error)
            if resume:
                self._now = earlier.resumed(self._now)
        if self._open:  # from now on this process is the one to stop
            self._begin("getting ready", 0)

    def reserve(self) -> None:
        """From now on the folder belongs to this training."""
        self._open = True
        self._begin("getting ready", 0)

    def progress(self, inner: Progress) -> Progress:
        """Return a `Progress` that reports to `inner` and writes what it sees."""

        def watched(items: Iterable[T], total: int, what: str) -> Iterable[T]:
            self._begin(what, total)
            for done, item in enumerate(inner(items, total, what), 1):
                yield item
                self._now = replace(self._now, done=done)
                self._write()
            self._write(True)

        return watched

    def images(self, channels: int, classes: int, size: int) -> None:
        """Note the shape of the images, from which the space of the networks follows."""
        self._now = replace(self._now, shape=(channels, classes, size))

    def loss(self, step: int, total: int, value: float) -> None:
        """Note the loss of a step of the supernet's training, and how many steps there are."""
        self._held.append(value)
        if len(self._held) < self._merged:
            return
        losses = [pair for pair in self._now.losses if pair[0] < step]  # a resumed run repeats some steps
        losses.append((float(step), sum(self._held) / len(self._held)))
        self._held = []
        if len(losses) == POINTS:
            losses = [(b[0], (a[1] + b[1]) / 2) for a, b in zip(losses[::2], losses[1::2])]
            self._merged *= 2
        self._now = replace(self._now, losses=losses, steps=total)

    def end(self, error: str = "") -> None:
        """Write the last state, with the reason if the training did not finish."""
        self._close()
        self._now = replace(self._now, error=error)
        self._write(True)

    def _close(self) -> None:
        """Add what was being done, if any of it was done, to the parts; repeated parts are one."""
        now = self._now
        if now.done:
            spent = dict(now.parts)
            spent[now.what] = round(spent.get(now.what, 0.0) + time.time() - now.since, 1)
            self._now = replace(now, parts=list(spent.items()), done=0)

    def _begin(self, what: str, total: int) -> None:
        self._close()
        self._now = replace(self._now, what=what, done=0, total=total, since=time.time())
        self._write(True)

    def _write(self, now: bool = False) -> None:
        if self._open and not self._silent and (now or time.time() - self._written > EVERY):
            self._written = time.time()
            self._now = replace(self._now, updated=self._written)
            save(self._now)


def save(training: Training) -> None:
    """Write a journal; without a folder that can be written there is none, and nothing else changes."""
    with contextlib.suppress(InputError):
        write_text(_path(Path(training.folder)), json.dumps(asdict(training)))


@contextlib.contextmanager
def recorded(folder: Path, arguments: tuple[str, ...] = (), resume: bool = False) -> Iterator[Journal]:
    """Keep the journal of the training that runs in this block."""
    from filelock import FileLock, Timeout

    lock, taken = FileLock(_path(folder).with_suffix(".lock"), timeout=2), False  # whoever looks holds it for a moment
    try:
        _path(folder).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:  # the training itself says who uses the folder
        taken = True
    except OSError:  # no folder that can be written, so no journal
        pass
    journal = Journal(folder, arguments, resume, taken)
    try:
        yield journal
    except BaseException as error:
        journal.end(first_line(error) if isinstance(error, Exception) else "stopped")
        raise
    else:
        journal.end()
    finally:
        lock.release()


def trainings() -> list[Training]:
    """List the trainings of this machine, the newest first; those whose study was deleted are forgotten."""
    found = []
    for path in (home() / "trainings").glob("*.json"):
        training = _read(path)
        if training is None:  # being replaced, of another user, or of another version
            continue
        if os.path.isdir(training.folder) or training.running or training.error:
            found.append(training)
        else:
            forget_path(path)
    return sorted(found, key=lambda training: -training.begun)


def journal_of(folder: Path) -> Training | None:
    """Read the journal of the training in a folder, None if there is none."""
    return _read(_path(folder))


def forget(training: Training) -> None:
    """Delete a journal; its study is left alone."""
    forget_path(_path(Path(training.folder)))


def forget_path(path: Path) -> None:
    """Delete a journal's files."""
    for each in (path, *(path.with_suffix(end) for end in (".lock", ".log", ".toml"))):
        with contextlib.suppress(OSError):
            each.unlink()


def beside(folder: Path, ending: str) -> Path:
    """A file beside the journal: ".log" is what a training printed that nobody saw, ".toml" the recipe of the page."""
    return _path(folder).with_suffix(ending)


def _path(folder: Path) -> Path:
    where = hashlib.sha256(os.fsencode(os.path.abspath(folder))).hexdigest()[:20]
    return home() / "trainings" / f"{where}.json"


def _read(path: Path) -> Training | None:
    """Read a journal; None if it is missing or not one."""
    try:
        values: Any = read_json(path)
        known = {f.name for f in fields(Training)}
        made = Training(**{name: value for name, value in values.items() if name in known})
        kept: dict[str, Any] = {name: float(getattr(made, name)) for name in ("begun", "updated", "since")}
        kept |= {name: int(getattr(made, name)) for name in ("process", "done", "total", "steps")}
        kept |= {name: str(getattr(made, name)) for name in ("folder", "where", "host", "what", "error")}
        kept |= {"losses": [(float(a), float(b)) for a, b in made.losses], "shape": tuple(map(int, made.shape))}
        kept |= {"parts": [(str(a), float(b)) for a, b in made.parts], "arguments": tuple(map(str, made.arguments))}
        return Training(**kept)
    except (InputError, TypeError, ValueError, AttributeError):
        return None


def _held(lock: Path) -> bool:
    """Whether a process holds this lock."""
    from filelock import FileLock, Timeout

    if not lock.exists():
        return False
    mine = FileLock(lock, timeout=0)
    try:
        mine.acquire()
    except (Timeout, OSError):
        return True
    mine.release()
    return False
