"""Training on the user's own images: choose a folder or archive below the data root, get a recipe, train, cancel."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as w

from explorer.core.errors import InputError
from explorer.core.files import home, is_file, scratch_folder
from explorer.data.archives import is_archive
from explorer.study.lock import locked
from explorer.study.own import checked_name
from explorer.widgets.guarded import Say, guarded
from explorer.widgets.job import JobRow
from explorer.widgets.number_field import NumberField

WHERE = "EXPLORER_DATA_ROOT"  # set by `explorer dashboard --data-root`


def data_root() -> Path | None:
    """The folder below which the page may read images; None if own images are turned off."""
    root = os.environ.get(WHERE)
    return Path(root).resolve() if root and Path(root).is_dir() else None


def sources(root: Path) -> list[str]:
    """Where images may be: archives, and folders with two or more sub-folders, at most two levels below the root."""
    found = []
    for path in sorted([*root.glob("*"), *root.glob("*/*")]):
        inside = path.resolve().is_relative_to(root) and not path.name.startswith(".")
        if inside and (is_archive(path) or _has_classes(path)):
            found.append(path.relative_to(root).as_posix())
    return found


def _has_classes(path: Path) -> bool:
    try:
        return path.is_dir() and sum(p.is_dir() for p in path.iterdir()) >= 2
    except OSError:  # no permission to read it
        return False


class OwnImages(w.VBox):
    """Choose images, see how long the training will take, start it, open the finished study.

    Args:
        say: shows a message on the page.
        opened: called with the new study's name.
    """

    def __init__(self, say: Say, opened: Callable[[str], None]) -> None:
        root = data_root()
        assert root is not None
        self.root, self.opened, self._recipe = root, opened, ""
        self.source = w.Dropdown(options=sources(root), description="images", layout={"width": "340px"})
        self.minutes = NumberField(10, 1, 600, 1, "minutes to train", "min", width="230px")
        self.name = w.Text(description="study name", layout={"width": "300px"})
        self.plan = w.Button(description="Suggest a recipe", layout={"width": "150px"})
        self.train = w.Button(description="Train", button_style="primary", layout={"width": "100px"}, disabled=True)
        self.plan.on_click(guarded(say)(lambda _: self.suggest()))
        self.train.on_click(guarded(say)(lambda _: self.start()))
        self.source.observe(lambda _: self._stale(), "value")
        self.minutes.observe(lambda _: self._void(), "value")
        self.row = JobRow([self.plan, self.train])
        super().__init__([self.source, w.HBox([self.minutes, self.name], layout={"flex_flow": "row wrap"}), self.row])
        self._stale()

    def accordion(self) -> w.Accordion:
        """The panel in a collapsed accordion."""
        return w.Accordion([self], titles=("Your own images",), selected_index=None)

    def _stale(self) -> None:
        """After a change of the source: propose a study name from it and drop the recipe."""
        self._void()
        self.name.value = Path(self.source.value or "study").name.split(".")[0]
        if not self.source.options:
            self.plan.disabled = True
            self.row.say_text(f"No folder of class folders and no archive below {self.root}.")

    def _void(self) -> None:
        """Drop the recipe, which does not belong to the current choice."""
        self._recipe = ""
        self.train.disabled = True

    def suggest(self) -> Future:
        """Time this machine and suggest a recipe."""
        path = (self.root / self.source.value).resolve()
        recipe = scratch_folder("explorer-recipe-") / "recipe.toml"
        self.row.say_text("Looking at the images and timing this machine ...")
        arguments = ["suggest", f"folder:{path}", "--out", str(recipe), "--minutes", str(self.minutes.value)]
        asked = self.source.value, self.minutes.value
        done = self.row.run(arguments, lambda found: self._suggested(found, recipe, asked))
        done.add_done_callback(lambda _: self._ready())
        return done

    def _suggested(self, found: dict[str, Any], recipe: Path, asked: tuple[Any, Any]) -> None:
        if asked != (self.source.value, self.minutes.value):
            self.row.say_text("Your selection has changed: press Suggest again.")
            return
        self._recipe = str(recipe)
        shortest = "" if found.get("possible", True) else f"; {asked[1]:g} min are not possible, this is the least"
        self.row.say(
            f"{found['images']:,} images of {found['classes']} classes, about {found['size']} px: space "
            f"{escape(found['recipe']['space'])}, {found['recipe']['supernet']['epochs']:g} epochs; "
            f"about {found['seconds'] / 60:.0f} min on this machine (estimated){shortest}."
        )

    def start(self) -> Future:
        """Start the training; the study is opened when it ends.

        Raises:
            InputError: the study name cannot be used.
        """
        out = home() / "studies" / checked_name(self.name.value.strip())
        self.row.say_text("Training ...")
        done = self.row.run(["train", self._recipe, "--out", str(out)], lambda _: self._trained(out))
        done.add_done_callback(lambda _: self._tried(out))
        return done

    def _tried(self, out: Path) -> None:
        """Remove the folder of a cancelled or failed training, so that its name can be used again."""
        if out.is_dir() and not is_file(out / "study.json"):
            with contextlib.suppress(InputError), locked(out):  # another visitor's training may use that name
                shutil.rmtree(out, ignore_errors=True)
        self._ready()

    def _trained(self, out: Path) -> None:
        self.row.say_text(f"Study {out.name} is finished.")
        self.opened(out.name)

    def _ready(self) -> None:
        self.train.disabled = not self._recipe
