"""Export of the generated network in the background, with a link to download it."""

from __future__ import annotations

import base64
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from explorer.errors import InputError
from explorer.widgets.guarded import log
from explorer.widgets.state import DashboardState

LINK_LIMIT = 10_000_000  # bytes that browsers take in a link


class ExportPanel(w.HBox):
    """A button, then a link. The work runs in a thread, so the sliders stay alive.

    Args:
        state: of the page.
    """

    def __init__(self, state: DashboardState) -> None:
        self.state = state
        self.button = w.Button(description="Export as ONNX", button_style="primary", layout={"width": "160px"})
        self.result = w.HTML('<span role="status" aria-live="polite"></span>')
        self.button.on_click(lambda _: self.start())
        self._pool = ThreadPoolExecutor(1)
        super().__init__([self.button, self.result])

    def start(self) -> Future:
        """Begin; the future is done when the link is shown."""
        self.button.disabled = True
        key = self.state.candidate.key
        self._say(f"Exporting {escape(key)} and checking it ...")
        return self._pool.submit(self._work, self.state.candidate)

    def _work(self, candidate: Any) -> None:
        try:
            self._say(self._export(candidate))
        except InputError as error:
            self._say(escape(str(error)))
        except Exception as error:
            log.exception("an export failed")
            self._say(f"The export failed: {escape(str(error).splitlines()[0])}")
        finally:
            self.button.disabled = False

    def _export(self, candidate: Any) -> str:
        from explorer.export import export

        folder = Path(tempfile.mkdtemp(prefix="explorer-export-")) / "out"
        bundle = export(self.state.study, candidate, folder, ["onnx"])
        path, check = bundle.files["onnx"], bundle.check
        said = "untrained: this study has published accuracies and no weights; same outputs as the original"
        if "test_accuracy" in check:
            said = (
                f"same class as the original on all {check['images']} test images; "
                f"test accuracy {check['test_accuracy']:.1%} (measured)"
            )
        data = path.read_bytes()
        if len(data) > LINK_LIMIT:
            return f"Written to <code>{escape(str(path))}</code>: {said}"
        encoded = base64.b64encode(data).decode()
        return (
            f'<a class="download" download="{escape(path.name)}" '
            f'href="data:application/octet-stream;base64,{encoded}">Download {escape(path.name)}</a> '
            f"({len(data) / 1e6:.1f} MB): {said}"
        )

    def _say(self, html: str) -> None:
        self.result.value = f'<span role="status" aria-live="polite">{html}</span>'
