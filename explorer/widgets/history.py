"""Undo and redo over snapshots of a state."""

from __future__ import annotations

import time
from typing import Any

LENGTH = 100  # steps that can be undone
PAUSE = 1.5  # seconds; changes of the same kind that follow each other faster are one step, such as a drag


class History:
    """The snapshots of a state: those before the present one, and those that were undone.

    A snapshot is any value that can be compared; `History` never changes it.

    Args:
        now: the first snapshot.
    """

    def __init__(self, now: Any) -> None:
        self._past, self._future = [now], list[Any]()
        self._kind, self._at = "", 0.0

    @property
    def undoable(self) -> bool:
        """Whether there is a step to undo."""
        return len(self._past) > 1

    @property
    def redoable(self) -> bool:
        """Whether there is an undone step."""
        return bool(self._future)

    def add(self, now: Any, kind: str = "") -> None:
        """Add a snapshot, unless it equals the present one.

        Args:
            now: the snapshot.
            kind: what changed, such as the name of a slider; quick changes of one kind are one step. "" never is.
        """
        if now == self._past[-1]:
            return
        quick = time.monotonic() - self._at < PAUSE
        if kind and kind == self._kind and quick and self.undoable:
            self._past[-1] = now
        else:
            self._past = [*self._past, now][-LENGTH - 1 :]
        self._kind, self._at = kind, time.monotonic()
        self._future.clear()

    def undo(self) -> Any:
        """Return the snapshot before the present one; the present one if there is none."""
        if self.undoable:
            self._future.append(self._past.pop())
        self._kind = ""
        return self._past[-1]

    def redo(self) -> Any:
        """Return the snapshot that was undone last; the present one if there is none."""
        if self._future:
            self._past.append(self._future.pop())
        self._kind = ""
        return self._past[-1]
