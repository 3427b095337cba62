"""One's own studies, below `$EXPLORER_HOME/studies`: list, rename, delete."""

from __future__ import annotations

import re
import shutil

from explorer.core.errors import InputError, unknown
from explorer.core.files import home, read_json, write_json

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def own_studies() -> list[str]:
    """Names of finished studies of one's own."""
    return sorted(path.parent.name for path in (home() / "studies").glob("*/study.json"))


def checked_name(name: str) -> str:
    """A name that a study may have.

    Raises:
        InputError: other characters, or a name that is taken.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"name {name!r}: use letters, digits, dot, dash and underscore, at most 64, a letter first")
    if (home() / "studies" / name).exists():
        raise InputError(f"a study named {name!r} is there already; choose another name")
    return name


def rename_study(old: str, new: str) -> None:
    """Give a study of one's own another name.

    Raises:
        InputError: no such study, or a name that cannot be used.
    """
    folder = home() / "studies" / _own(old)
    target = home() / "studies" / checked_name(new)
    manifest = read_json(folder / "study.json")
    if not isinstance(manifest, dict):
        raise InputError(f"{str(folder / 'study.json')!r} is not the manifest of a study; nothing was changed")
    folder.rename(target)
    write_json(target / "study.json", manifest | {"name": new})


def delete_study(name: str) -> None:
    """Delete a study of one's own: its manifest first, so that no half of it opens.

    Raises:
        InputError: no such study.
    """
    folder = home() / "studies" / _own(name)
    if folder.is_symlink():  # what it points to is somebody else's
        folder.unlink()
        return
    (folder / "study.json").unlink()
    shutil.rmtree(folder)


def _own(name: str) -> str:
    if name not in own_studies():
        raise unknown("study of your own", name, own_studies() or ["(none)"])
    return name
