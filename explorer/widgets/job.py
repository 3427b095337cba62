"""Background jobs of the page: each runs an `explorer` command in its own process, so that it can really be cancelled.

The page's kernel never loads torch, the sliders keep responding, and what a job prints on stderr is shown as progress.
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

from explorer.study.launch import patient
from explorer.widgets.guarded import log

CANCELLED = "Cancelled."


class Job:
    """Runs one command at a time.

    Args:
        tell: receives every line of progress and, if the command fails, the reason.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._process: subprocess.Popen | None = None
        self._cancelled = False

    @property
    def running(self) -> bool:
        """Whether a command is running."""
        return self._process is not None

    def start(
        self, arguments: Sequence[str], done: Callable[[dict[str, Any]], None], always: Callable[[], None]
    ) -> Future:
        """Run `explorer ARGUMENTS --json`.

        Args:
            arguments: the command and its options, without `--json`.
            done: receives its JSON document if it succeeds.
            always: called at the end, after success, failure or cancellation.

        Returns:
            A future that completes when the command has ended and these functions have returned.
        """
        finished: Future = Future()
        self._cancelled = False
        command = [sys.executable, "-m", "explorer", *arguments, "--json"]
        self._process = subprocess.Popen(
            command, env=patient(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        threading.Thread(target=self._wait, args=(self._process, done, always, finished), daemon=True).start()
        return finished

    def cancel(self) -> None:
        """Stop the command; its result is dropped."""
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
                self._tell(CANCELLED if self._cancelled else last or "the command failed without an error message")
        except Exception as error:
            log.exception("a job failed")
            self._tell(f"Something went wrong ({type(error).__name__}); see the page's log for details.")
        finally:
            self._process = None
            always()
            finished.set_result(None)


class JobRow(w.HBox):
    """Buttons that start jobs, a cancel button, and a line that shows progress and the result.

    Args:
        buttons: those that start jobs; they are disabled while a job runs.
    """

    def __init__(self, buttons: Sequence[w.Button | w.FileUpload]) -> None:
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
        """Show a line of HTML; the caller has to escape text from outside."""
        self.result.value = f'<span role="status" aria-live="polite">{html}</span>'

    def say_text(self, text: str) -> None:
        """Show plain text, which is escaped here."""
        from html import escape

        self.say(escape(text.removeprefix("explorer: ")))

    def _busy(self, busy: bool) -> None:
        for button in self.buttons:
            button.disabled = busy
        self.cancel.layout.display = "" if busy else "none"
