"""The user's own studies: list, rename, delete. Shipped studies are not changed."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets as w

from explorer.study.own import delete_study, own_studies, rename_study
from explorer.widgets.guarded import Say, guarded


class StudiesPanel(w.VBox):
    """A list of own studies, a field for a new name, two buttons; deleting needs a confirmation.

    Args:
        say: shows a message on the page.
        changed: called after a change, with the new name of a renamed study, else "".
    """

    def __init__(self, say: Say, changed: Callable[[str], None]) -> None:
        self.changed = changed
        self.chosen = w.Dropdown(description="my study", layout={"width": "340px"})
        self.name = w.Text(description="new name", layout={"width": "300px"})
        self.rename = w.Button(description="Rename", layout={"width": "100px"})
        self.delete = w.Button(description="Delete", layout={"width": "100px"})
        self.sure = w.Checkbox(value=False, description="yes, delete it for good", indent=False)
        self.about = w.HTML()
        self.rename.on_click(guarded(say)(lambda _: self._rename()))
        self.delete.on_click(guarded(say)(lambda _: self._delete()))
        super().__init__([
            self.chosen, w.HBox([self.name, self.rename], layout={"flex_flow": "row wrap"}),
            w.HBox([self.delete, self.sure], layout={"flex_flow": "row wrap"}), self.about,
        ])  # fmt: skip
        self.refresh()

    def refresh(self) -> None:
        """Read the list of studies again."""
        names = own_studies()
        self.chosen.options = names
        self.chosen.value = names[0] if names else None
        self.rename.disabled = self.delete.disabled = not names
        self.about.value = (
            "" if names else "<small>No study of your own yet: train one, or use your own images.</small>"
        )

    def _rename(self) -> None:
        old, new = str(self.chosen.value), str(self.name.value).strip()
        rename_study(old, new)
        self._done(f"{old} is now {new}", new)

    def _delete(self) -> None:
        if not self.sure.value:
            self.about.value = "<small>Tick the box first: a deleted study cannot be brought back.</small>"
            return
        name = str(self.chosen.value)
        delete_study(name)
        self.sure.value = False
        self._done(f"{name} is deleted")

    def _done(self, text: str, name: str = "") -> None:
        self.refresh()
        self.about.value = f'<div role="status">{escape(text)}</div>'
        self.changed(name)
