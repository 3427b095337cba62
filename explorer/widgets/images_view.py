"""Photographs that networks recognise or confuse: of the current network, and what changes between two pinned ones."""

from __future__ import annotations

import base64
import io
import shutil
from concurrent.futures import Future
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w
import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import scratch_folder
from explorer.devices import amount
from explorer.study.answers import Answers, read_answers
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.job import JobRow
from explorer.widgets.state import DashboardState

SHOWN, SIDE = 48, 84  # pictures shown at most, and their side in pixels
WRONG, RIGHT, CHANGED = "not recognised", "recognised", "changed between two pins"
LARGEST = 30 << 20  # bytes of a photograph
WHOLE = {"description_width": "auto"}
CELLS = 12  # classes up to which the whole confusion matrix is shown


class ImagesView(w.VBox):
    """A button that lets networks classify the validation photographs, and views of what they said.

    Args:
        state: the state of the page.
        say: shows a message on the page.
    """

    def __init__(self, state: DashboardState, say: Say) -> None:
        self.state = state
        self.answers: Answers | None = None
        on = guarded(say)
        self.button = w.Button(description="Look at the photographs", button_style="primary", layout={"width": "auto"})
        self.button.on_click(on(lambda _: self.start()))
        self.row = JobRow([self.button])
        self.show = w.Dropdown(
            options=[WRONG, RIGHT, CHANGED], description="photographs", layout={"width": "320px"}, style=WHOLE
        )
        self.only = w.Dropdown(options=[("all classes", -1)], description="of", layout={"width": "220px"}, style=WHOLE)
        self.show.observe(on(lambda _: self.refresh()), "value")
        self.only.observe(on(lambda _: self.refresh()), "value")
        self.choice = w.HBox([self.show, self.only], layout={"flex_flow": "row wrap", "display": "none"})
        self.pictures, self.classes = w.HTML(), w.HTML()
        state.observe(on(self.refresh))
        if not state.study.origin.has_weights:
            self.button.disabled = True
            self.row.say_text("This study has published accuracies and no weights, so no photograph can be classified.")
        photographs = state.study.origin.has_weights and state.study.manifest.data.photographs
        self.own = w.FileUpload(accept="image/*", multiple=False, description="Try a photograph of yours")
        self.own.layout.width = "auto"
        self.own.observe(on(lambda change: self._own(change["new"])), "value")
        self.photo_row = JobRow([self.own])
        both = w.Box([self.pictures, self.classes])
        both.add_class("explorer-images")
        self.photo_row.layout.display = "" if photographs else "none"
        super().__init__([self.row, self.choice, both, self.photo_row])
        self._shown: Any = None
        self.refresh()

    @property
    def wanted(self) -> list[str]:
        """Keys of the current network and of the pinned ones."""
        return list(dict.fromkeys([self.state.candidate.key, *(pin.key for pin in self.state.pins)]))

    def start(self) -> Future:
        """Let the networks that were not looked at yet classify the photographs, in a process of its own."""
        known = self.answers.keys if self.answers else []
        keys = [key for key in self.wanted if key not in known]
        if not keys:
            self.row.say_text("These networks have been looked at.")
            done: Future = Future()
            done.set_result(None)
            return done
        folder = scratch_folder("explorer-answers-")
        self.row.say_text(f"Classifying the validation photographs with {len(keys)} network(s) ...")
        arguments = ["answers", str(self.state.study.folder), "--out", str(folder / "answers.npz")]
        arguments += ["--precision", self.state.study.precision]
        arguments += [part for key in keys for part in ("--architecture", key)]
        done = self.row.run(arguments, lambda found: self._done(found))
        done.add_done_callback(lambda _: shutil.rmtree(folder, ignore_errors=True))
        return done

    def _done(self, found: dict[str, Any]) -> None:
        fresh = read_answers(Path(found["file"]))
        self.answers = fresh if self.answers is None else self.answers.joined(fresh)
        for key in fresh.keys:
            self.state.note(key, accuracy=fresh.recognised(key).accuracy)
        self.only.options = [("all classes", -1), *((name, i) for i, name in enumerate(fresh.classes))]
        self.choice.layout.display = ""
        self.row.say_text(f"{len(fresh.labels):,} {_split(fresh)} photographs, classified with inherited weights.")
        self.refresh()

    def _own(self, files: tuple) -> Future | None:
        """Let the current network and the pinned ones, exported, classify a photograph; it stays on this machine."""
        if not files:
            return None
        name, content = str(files[0]["name"]), bytes(files[0]["content"])
        self.own.value = ()
        if len(content) > LARGEST:
            raise InputError(f"{name!r} has {len(content) >> 20} MB; a photograph has at most {LARGEST >> 20} MB")
        folder = scratch_folder("explorer-photo-")
        (folder / "photograph").write_bytes(content)
        self.photo_row.say_text("Exporting the networks and classifying the photograph ...")
        arguments = ["classify", str(self.state.study.folder), str(folder / "photograph")]
        arguments += [part for key in self.wanted for part in ("--architecture", key)]
        done = self.photo_row.run(arguments, lambda found: self.photo_row.say(self._said(name, content, found)))
        done.add_done_callback(lambda _: shutil.rmtree(folder, ignore_errors=True))
        return done

    def _said(self, name: str, content: bytes, found: dict[str, Any]) -> str:
        pins = {pin.key: self.state.name_of(pin.key) for pin in self.state.pins}
        lines = "".join(
            f"<li><b>{escape(what)}</b> says {escape(f'pin {pins[key]}' if key in pins else 'the network shown')} "
            f"<code>{escape(key)}</code></li>"
            for key, what in found["networks"].items()
        )
        return f"<p>{_thumbnail(content, name)}</p><ul>{lines}</ul>"

    def refresh(self) -> None:
        """Show what is known of the current network, or what changes between the first two pins."""
        answers, key = self.answers, self.state.candidate.key
        if answers is None:
            return
        pins = [pin.key for pin in self.state.pins if pin.key in answers.keys][:2]
        now = (key, tuple(pins), self.show.value, self.only.value, len(answers.keys))
        if now == self._shown:
            return
        self._shown = now
        if self.show.value == CHANGED:
            self.pictures.value = self._changes(answers, pins)
        elif key not in answers.keys:
            self.pictures.value = "<p>This network was not looked at yet: press “Look at the photographs” again.</p>"
        else:
            right = answers.said[answers.keys.index(key)] == answers.labels
            rows = self._of_class(answers, np.flatnonzero(right if self.show.value == RIGHT else ~right))
            self.pictures.value = f"<h3>{len(rows):,} {self.show.value}</h3>{self._pictures(answers, rows, key)}"
        self.classes.value = self._per_class(answers, key) if key in answers.keys else ""

    def _of_class(self, answers: Answers, rows: np.ndarray) -> np.ndarray:
        return rows if self.only.value < 0 else rows[answers.labels[rows] == self.only.value]

    def _changes(self, answers: Answers, pins: list[str]) -> str:
        if len(pins) < 2:
            return "<p>Pin two networks and press “Look at the photographs”: here stands what changes between them.</p>"
        first, second = pins
        state, chart = self.state, self.state.chart
        costs = [next(pin.costs[chart] for pin in state.pins if pin.key == key) for key in pins]
        if costs[0] > costs[1]:
            first, second, costs = second, first, costs[::-1]
        gained, lost = (self._of_class(answers, rows) for rows in answers.changed(first, second))
        more = amount(state.study.devices[chart], costs[1] - costs[0], 3)
        return (
            f"<h3>{escape(more)} more on {escape(chart)} ({escape(state.name_of(second))} over "
            f"{escape(state.name_of(first))}) recognises {len(gained):,} more</h3>"
            f"{self._pictures(answers, gained, first)}<h3>and loses {len(lost):,}</h3>"
            f"{self._pictures(answers, lost, second)}"
        )

    def _pictures(self, answers: Answers, rows: np.ndarray, key: str) -> str:
        """Pictures with their class, and what a network takes them for."""
        said, shown = answers.said[answers.keys.index(key)], rows[rows < len(answers.pictures)][:SHOWN]
        cards = []
        for row in shown:
            true, named = answers.classes[answers.labels[row]], answers.classes[said[row]]
            note = "" if true == named else f"<br>taken for {escape(named)}"
            cards.append(
                f"<figure>{_img(answers.pictures[row], true)}<figcaption>{escape(true)}{note}</figcaption></figure>"
            )
        rest = f"<p class='soft'>{len(shown)} of {len(rows):,} are shown.</p>" * (len(rows) > len(shown))
        return f'<div class="photographs">{"".join(cards) or "<p>None.</p>"}</div>{rest}'

    def _per_class(self, answers: Answers, key: str) -> str:
        """Recall of every class, worst first, and the confusions: the matrix of few classes, else the most frequent."""
        found, confusion = answers.recognised(key), answers.confusion(key)
        rows = []
        for name, recall in sorted(found.recall.items(), key=lambda item: item[1]):
            i = answers.classes.index(name)
            others = [(n, answers.classes[j]) for j, n in enumerate(confusion[i]) if j != i and n]
            most = ", ".join(f"{n} {escape(other)}" for n, other in sorted(others, reverse=True)[:3])
            rows.append(
                f'<tr><th scope="row">{escape(name)}</th><td>{recall:.0%}</td><td>'
                f'<span class="meter"><i style="width:{recall:.0%}"></i></span></td><td>{most}</td></tr>'
            )
        head = (
            '<tr><th scope="col">class</th><th scope="col">recognised</th><td></td><th scope="col">taken for</th></tr>'
        )
        table = f'<table class="rows classes">{head}{"".join(rows)}</table>'
        said = (
            f"<h3>{found.accuracy:.2%} of {found.images:,} {_split(answers)} photographs, balanced {found.balanced:.2%}"
            "</h3>"
        )
        return said + table + (_matrix(confusion, answers.classes) if len(answers.classes) <= CELLS else "")


def _split(answers: Answers) -> str:
    return {"val": "validation", "test": "test"}[answers.split]


def _matrix(confusion: np.ndarray, classes: list[str]) -> str:
    """The confusion matrix; a cell is the darker, the larger its share of the row."""
    heads = "".join(f'<th scope="col"><span>{escape(name)}</span></th>' for name in classes)
    rows = []
    for name, counts in zip(classes, confusion):
        share = counts / max(int(counts.sum()), 1)
        cells = "".join(
            f'<td style="background:rgba(0,114,178,{s * 0.55:.2f})">{n or ""}</td>' for n, s in zip(counts, share)
        )
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    return (
        "<details><summary>Confusion: rows are classes, columns what the network says</summary>"
        f'<table class="confusion"><tr><td></td>{heads}</tr>{"".join(rows)}</table></details>'
    )


def _thumbnail(content: bytes, name: str) -> str:
    """A picture of a file, upright; the file was read by the classifying command before."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).convert("RGB")
    image.thumbnail((2 * SIDE, 2 * SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" height="{2 * SIDE}" alt="{escape(name)}">'


def _img(pixels: np.ndarray, name: str) -> str:
    from PIL import Image

    file = io.BytesIO()
    grey = pixels.shape[2] == 1
    Image.fromarray(pixels[..., 0] if grey else pixels).save(file, "PNG" if grey else "JPEG", quality=85)
    data = base64.b64encode(file.getvalue()).decode()
    kind = "png" if grey else "jpeg"
    return f'<img src="data:image/{kind};base64,{data}" width="{SIDE}" height="{SIDE}" alt="{escape(name)}">'
