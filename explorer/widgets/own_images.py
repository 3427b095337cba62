"""Training on the user's own photographs: drop or choose a folder, look at it, get a recipe, train."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import Future
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from explorer.core.files import home, read_limited, scratch_folder
from explorer.data.archives import is_archive
from explorer.data.spelling import is_system
from explorer.study.launch import launch
from explorer.study.own import checked_name
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.job import JobRow
from explorer.widgets.number_field import NumberField
from explorer.widgets.photo_drop import PhotoDrop

DROPPED = "dropped here: "
WHERE = "EXPLORER_DATA_ROOT"  # set by `explorer dashboard --data-root`


def data_root() -> Path | None:
    """The folder below which the page may read images; None if own images are turned off."""
    root = os.environ.get(WHERE)
    return Path(root).resolve() if root and Path(root).is_dir() else None


def dropped_root() -> Path:
    """The folder below which the page keeps photographs that were dropped on it."""
    return home() / "photographs"


def sources(root: Path) -> list[str]:
    """Where images may be: archives, and folders with two or more sub-folders, at most two levels below the root."""
    found = []
    for path in sorted([*root.glob("*"), *root.glob("*/*")]):
        inside = path.resolve().is_relative_to(root) and not is_system(path.name)
        if inside and (is_archive(path) or _has_classes(path)):
            found.append(path.relative_to(root).as_posix())
    return found


def _has_classes(path: Path) -> bool:
    try:
        return path.is_dir() and sum(p.is_dir() for p in path.iterdir()) >= 2
    except OSError:  # no permission to read it
        return False


class OwnImages(w.VBox):
    """Drop or choose photographs, look at them, see what a training costs, and start it.

    Args:
        say: shows a message on the page.
        started: called with the folder of the study that is being trained.
    """

    def __init__(self, say: Say, started: Callable[[str], None]) -> None:
        root = data_root()
        assert root is not None
        self.root, self.started, self._recipe = root, started, ""
        self.source = w.Dropdown(
            options=self._options(), description="images", layout={"width": "340px", "max_width": "100%"}
        )
        self.minutes = NumberField(15, 1, 600, 1, "minutes to train", "min", width="230px")
        self.name = w.Text(description="study name", layout={"width": "300px"})
        self.look = w.Button(description="Look at them", layout={"width": "130px"})
        self.plan = w.Button(description="Suggest a recipe", layout={"width": "150px"})
        self.train = w.Button(description="Train", button_style="primary", layout={"width": "100px"}, disabled=True)
        self.look.on_click(guarded(say)(lambda _: self.show()))
        self.plan.on_click(guarded(say)(lambda _: self.suggest()))
        self.train.on_click(guarded(say)(lambda _: self.start()))
        self.source.observe(lambda _: self._stale(), "value")
        self.minutes.observe(lambda _: self._void(), "value")
        self.row = JobRow([self.look, self.plan, self.train])
        self.drop = PhotoDrop(dropped_root(), self.row.say_text, guarded(say)(self._dropped))
        self.sheet = w.HTML()
        fields = w.HBox([self.minutes, self.name], layout={"flex_flow": "row wrap", "align_items": "center"})
        super().__init__([self.drop, self.source, fields, self.row, self.sheet])
        self._stale()

    def _options(self) -> list[str]:
        """The folders and archives to choose from: those that were dropped, then those below the data root."""
        dropped = dropped_root()
        own = sorted(p.name for p in dropped.iterdir() if p.is_dir()) if dropped.is_dir() else []
        return [*(DROPPED + name for name in own), *sources(self.root)]

    @property
    def path(self) -> Path:
        """The chosen folder or archive."""
        chosen = self.source.value or ""
        if chosen.startswith(DROPPED):
            return dropped_root() / chosen.removeprefix(DROPPED)
        return (self.root / chosen).resolve()

    def _dropped(self, folder: Path) -> None:
        """Choose a folder that was just received, and show it."""
        self.source.options = self._options()
        self.source.value = DROPPED + folder.name
        self.show()

    def _stale(self) -> None:
        """After a change of the source: propose a study name from it and drop the recipe."""
        self._void()
        self.sheet.value = ""
        self.name.value = self.path.name.split(".")[0] if self.source.value else "study"
        nothing = not self.source.options
        self.plan.disabled = self.look.disabled = nothing
        if nothing:
            self.row.say_text(f"No folder of class folders and no archive below {self.root}: drop one above.")

    def _void(self) -> None:
        """Drop the recipe, which does not belong to the current choice."""
        self._recipe = ""
        self.train.disabled = True

    def show(self) -> Future:
        """Show a contact sheet with counts, parts and problems."""
        file, asked = scratch_folder("explorer-sheet-") / "sheet.html", self.source.value
        self.row.say_text("Looking at the photographs ...")
        arguments = ["data", "info", f"folder:{self.path}", "--skip-broken", "--sheet", str(file)]
        done = self.row.run(arguments, lambda found: self._shown(found, file, asked))
        done.add_done_callback(lambda _: self._ready())
        return done

    def _shown(self, found: dict[str, Any], file: Path, asked: str) -> None:
        text = read_limited(file)
        shutil.rmtree(file.parent, ignore_errors=True)
        if asked != self.source.value:
            return
        self.sheet.value = text[text.index("<div class='explorer-sheet'") :]
        self.row.say_text(f"{found['images']:,} photographs of {len(found['classes'])} classes: {found['layout']}.")

    def suggest(self) -> Future:
        """Time this machine, try the training briefly, and suggest a recipe."""
        recipe = scratch_folder("explorer-recipe-") / "recipe.toml"
        self.row.say_text("Looking at the images and timing this machine ...")
        asked = self.source.value, self.minutes.value
        arguments = [
            "suggest",
            f"folder:{self.path}",
            "--out",
            str(recipe),
            "--minutes",
            str(asked[1]),
            "--skip-broken",
        ]
        done = self.row.run(arguments, lambda found: self._suggested(found, recipe, asked))
        done.add_done_callback(lambda _: self._ready())
        return done

    def _suggested(self, found: dict[str, Any], recipe: Path, asked: tuple[Any, Any]) -> None:
        if asked != (self.source.value, self.minutes.value):
            self.row.say_text("Your selection has changed: press Suggest again.")
            return
        self._recipe = str(recipe)
        shortest = "" if found.get("possible", True) else f"; {asked[1]:g} min are not possible, this is the least"
        why = "".join(
            f"<br><small>{escape(name)}: {escape(line)}</small>" for name, line in found.get("why", {}).items()
        )
        probe, expected = found.get("probe"), ""
        if probe:
            expected = (
                f"<br>After a probe of {probe['seconds'] / 60:.1f} min: {probe['largest']:.0%} with the largest, "
                f"{probe['smallest']:.0%} with the smallest network (measured on validation images)."
            )
        self.row.say(
            f"{found['images']:,} images of {found['classes']} classes, about {found['size']} px: space "
            f"{escape(found['recipe']['space'])}, {found['recipe']['supernet']['epochs']:g} epochs; "
            f"about {found['seconds'] / 60:.0f} min on this machine (estimated){shortest}.{expected}{why}"
        )

    def start(self) -> subprocess.Popen:
        """Start the training, which the tab "Training" shows, and which goes on when the page is closed.

        Raises:
            InputError: the study name cannot be used.
        """
        out = home() / "studies" / checked_name(self.name.value.strip())
        process = launch([self._recipe], out)
        self.row.say_text(f"Study {out.name} is being trained: see the tab Training.")
        self._void()
        self.started(str(out.absolute()))
        return process

    def _ready(self) -> None:
        self.train.disabled = not self._recipe
