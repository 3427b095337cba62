"""Long work beside the page: a command of this package in a process of its own, so that it can really be cancelled.

The kernel of a page never loads torch, the sliders stay alive, and what a job prints on stderr is its progress.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import ipywidgets as w

from explorer.widgets.guarded import log

CANCELLED = "Cancelled."


class Job:
    """One command at a time.

    Args:
        tell: gets every line of progress, and at the end why it failed.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._process: subprocess.Popen | None = None
        self._cancelled = False

    @property
    def running(self) -> bool:
        """Whether a command is at work."""
        return self._process is not None

    def start(
        self, arguments: Sequence[str], done: Callable[[dict[str, Any]], None], always: Callable[[], None]
    ) -> Future:
        """Run `explorer ARGUMENTS --json`.

        Args:
            arguments: of the command.
            done: gets its JSON document when it ends well.
            always: is called at the end, after success, failure or cancelling.

        Returns:
            A future that ends when all that is done.
        """
        finished: Future = Future()
        self._cancelled = False
        command = [sys.executable, "-m", "explorer", *arguments, "--json"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._wait, args=(self._process, done, always, finished), daemon=True).start()
        return finished

    def cancel(self) -> None:
        """End the command; nothing of it is kept."""
        self._cancelled = True
        if self._process is not None:
            self._process.terminate()

    def _wait(self, process: subprocess.Popen, done: Callable, always: Callable, finished: Future) -> None:
        try:
            assert process.stderr is not None
            assert process.stdout is not None
            last = ""
            for line in process.stderr:
                if line.strip():
                    last = line.strip()
                    self._tell(last)
            text = process.stdout.read()
            if process.wait() == 0:
                done(json.loads(text))
            else:
                self._tell(CANCELLED if self._cancelled else last or "it ended without a word")
        except Exception as error:
            log.exception("a job failed")
            self._tell(f"Something went wrong ({type(error).__name__}); the page's log has the details.")
        finally:
            self._process = None
            always()
            finished.set_result(None)


class JobRow(w.HBox):
    """Buttons that start jobs, one that cancels, and a line that says how it goes.

    Args:
        buttons: that start something; none can be pressed while a job runs.
    """

    def __init__(self, buttons: Sequence[w.Button]) -> None:
        self.buttons = list(buttons)
        self.cancel = w.Button(description="Cancel", layout={"display": "none", "width": "90px"})
        self.result = w.HTML('<span role="status" aria-live="polite"></span>')
        self.job = Job(self.say_text)
        self.cancel.on_click(lambda _: self.job.cancel())
        super().__init__([*self.buttons, self.cancel, self.result], layout={"flex_flow": "row wrap"})

    def run(self, arguments: Sequence[str], done: Callable[[dict[str, Any]], None]) -> Future:
        """Start a job."""
        self._busy(True)
        return self.job.start(arguments, done, lambda: self._busy(False))

    def say(self, html: str) -> None:
        """Show a line; what comes from outside is escaped by the caller."""
        self.result.value = f'<span role="status" aria-live="polite">{html}</span>'

    def say_text(self, text: str) -> None:
        """Show plain text."""
        from html import escape

        self.say(escape(text.removeprefix("explorer: ")))

    def _busy(self, busy: bool) -> None:
        for button in self.buttons:
            button.disabled = busy
        self.cancel.layout.display = "" if busy else "none"
