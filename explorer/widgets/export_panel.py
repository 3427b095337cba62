"""Export the current network, or the whole study as a web page, in the background; show links to download the files."""

from __future__ import annotations

import atexit
import base64
import os
import secrets
import shutil
import tempfile
from concurrent.futures import Future
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from explorer.exports import FORMATS, formats_of, usual_formats
from explorer.exports.check import accuracy_of
from explorer.widgets.job import JobRow
from explorer.widgets.number_field import NumberField
from explorer.widgets.state import DashboardState

LINK_LIMIT = 10_000_000  # bytes; browsers refuse larger files inside a link
KEPT = 4  # exports that a session keeps


class ExportPanel(w.VBox):
    """Choice of export formats and fine-tuning epochs, two buttons, and the download links.

    Args:
        state: the state of the page.
    """

    def __init__(self, state: DashboardState) -> None:
        self.state, self._made = state, list[Path]()
        self.button = w.Button(description="Export", button_style="primary", layout={"width": "160px"})
        usual = usual_formats(state.study, state.study.precision)
        self.formats = {
            name: w.Checkbox(
                value=name in usual, description=FORMATS[name].title, indent=False, layout={"width": "auto"}
            )
            for name in formats_of(state.study)
        }
        self.tuning = NumberField(0, 0, 20, 1, "fine-tune first, epochs", whole=True, width="260px")
        self.button.on_click(lambda _: self.start())
        self.publish = w.Button(
            description="The study as a web page", layout={"width": "auto"},
            tooltip="One file with this study's sliders, which opens in any browser, without a server",
        )  # fmt: skip
        self.publish.on_click(lambda _: self.start_page())
        self.row = JobRow([self.button, self.publish])
        self.result = self.row.result
        choices = w.HBox(
            [*self.formats.values(), *[self.tuning] * state.study.origin.has_weights],
            layout={"flex_flow": "row wrap", "grid_gap": "0 18px"},
        )
        super().__init__([choices, self.row])

    def start(self) -> Future:
        """Start the export; the returned future completes when the links are shown."""
        key, folder = self.state.candidate.key, self._folder()
        wanted = [name for name, box in self.formats.items() if box.value]
        self.row.say_text(f"Exporting {key} and checking it ...")
        arguments = ["export", str(self.state.study.folder), "--architecture", key, "--out", str(folder)]
        arguments += ["--precision", self.state.study.precision]
        arguments += [part for name in wanted for part in ("--format", name)]
        arguments += ["--fine-tune", f"{self.tuning.value:.0f}"] if self.tuning.value else []
        return self.row.run(arguments, lambda made: self.row.say(self._links(made)))

    def start_page(self) -> Future:
        """Write the study as a page that needs no server; the returned future completes when the link is shown."""
        study, folder = self.state.study, self._folder()
        self.row.say_text(f"Writing {study.name} as a web page ...")
        arguments = ["report", str(study.folder), "--out", str(folder / f"{study.name}.html")]
        arguments += ["--generator", self.state.generator]
        missing = [name for name in study.devices if name not in study.manifest.devices]
        return self.row.run(arguments, lambda made: self.row.say(_page_link(Path(made["file"]), missing)))

    def _folder(self) -> Path:
        """Make a folder with an unguessable name; delete the oldest exports of this session above the limit."""
        while len(self._made) >= KEPT:
            shutil.rmtree(self._made.pop(0), ignore_errors=True)
        root = Path.cwd() / "exports" if os.environ.get("EXPLORER_PAGE") else Path(tempfile.gettempdir())
        folder = root / f"explorer-{secrets.token_hex(8)}"
        folder.mkdir(0o700, parents=True)
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        self._made.append(folder)
        return folder

    def _links(self, made: dict[str, Any]) -> str:
        links = " &middot; ".join(_link(name, Path(path)) for name, path in made["files"].items())
        return f"{links}<br>{escape(said_of(made))}<br><small>in <code>{escape(made['folder'])}</code></small>"


def said_of(made: dict[str, Any]) -> str:
    """The result of an export's check, in words."""
    check, formats = made["check"], made["formats"]
    int8 = formats.get("int8", {})
    eight, found = accuracy_of(int8), accuracy_of(check)
    quantised = f" int8: {eight[1]:.1%} ({-int8['drop']:+.2f} points, measured)." if eight else ""
    if int8.get("speedup", 1) < 1:
        quantised += f" int8 is {1 / int8['speedup']:.2f} times slower on this machine (measured)."
    if found is None:
        if quantised:
            return quantised.strip()
        said = "Untrained: this study has published accuracies and no weights; same outputs as the original."
        return said if "same_top1" in check else "Nothing to check."
    return (
        f"Same class as the original on all {check['images']} {found[0]} images; {found[0]} accuracy {found[1]:.1%} "
        f"(measured).{quantised}"
    )


def _page_link(path: Path, missing: list[str]) -> str:
    """A link to the study as a page, and what it lacks: devices that were added on this page only."""
    said = "One file: mail it, or put it on a web site. Everything in it is computed in the reader's browser."
    lacks = f" It has no {escape(' and no '.join(missing))}: add it with <code>explorer device add</code> first."
    return f"{_link('page', path)}<br>{said}{lacks * bool(missing)}"


def _link(name: str, path: Path) -> str:
    """A download link: the data itself if small enough, else Voila's file route on a served page, else the path."""
    size = path.stat().st_size
    text = f"Download {escape(path.name)}</a> ({size / 1e6:.2g} MB)"
    if size <= LINK_LIMIT:
        data = base64.b64encode(path.read_bytes()).decode()
        href = f"data:application/octet-stream;base64,{data}"
    elif os.environ.get("EXPLORER_PAGE"):
        href = f"voila/files/exports/{path.parent.name}/{path.name}"
    else:
        return f"<code>{escape(str(path))}</code>"
    return f'<a class="download download-{name}" download="{escape(path.name)}" href="{href}">{text}'
