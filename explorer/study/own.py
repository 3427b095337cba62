"""Listing, renaming and deleting the user's own studies in `$EXPLORER_HOME/studies`."""

from __future__ import annotations

import re
import shutil

from explorer.core.errors import InputError, unknown
from explorer.core.files import home, read_json, write_json

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def own_studies() -> list[str]:
    """List the names of the user's finished studies."""
    return sorted(path.parent.name for path in (home() / "studies").glob("*/study.json"))


def checked_name(name: str) -> str:
    """Return `name` if it is valid and free for a new study.

    Raises:
        InputError: the name has invalid characters or is taken.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"name {name!r}: use letters, digits, dot, dash and underscore, at most 64, starting with a letter or digit"
        )
    if (home() / "studies" / name).exists():
        raise InputError(f"a study named {name!r} already exists; choose another name")
    return name


def rename_study(old: str, new: str) -> None:
    """Rename one of the user's studies.

    Raises:
        InputError: there is no such study, or the new name is invalid or taken.
    """
    folder = home() / "studies" / _own(old)
    target = home() / "studies" / checked_name(new)
    manifest = read_json(folder / "study.json")
    if not isinstance(manifest, dict):
        raise InputError(f"{str(folder / 'study.json')!r} is not the manifest of a study; nothing was changed")
    folder.rename(target)
    write_json(target / "study.json", manifest | {"name": new})


def delete_study(name: str) -> None:
    """Delete one of the user's studies; its manifest is deleted first, so that a partly deleted study cannot be opened.

    Raises:
        InputError: there is no such study.
    """
    folder = home() / "studies" / _own(name)
    if folder.is_symlink():  # only the link is deleted: its target may be used elsewhere
        folder.unlink()
        return
    (folder / "study.json").unlink()
    shutil.rmtree(folder)


def _own(name: str) -> str:
    if name not in own_studies():
        raise unknown("study of your own", name, own_studies() or ["(none)"])
    return name
