"""Registries: tables from name to value that other packages can extend through entry points.

The subpackage that owns a registry registers the built-in entries. Another package adds one by naming it in its
`pyproject.toml`, for example

    [project.entry-points."explorer.spaces"]
    my-space = "my_package.spaces:MY_SPACE"

or, in a running program, by calling `register`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import TypeVar

from explorer.core.errors import InputError, first_line, unknown

T = TypeVar("T")


class Registry(Mapping[str, T]):
    """Maps names to values, in the order of registration.

    Entry points are loaded only when a name is not found or all names are listed.

    Args:
        what: what a value is, for messages: "space", "export format".
        group: group of the entry points, such as "explorer.spaces".
        home: module that registers the built-in entries; imported on first use.

    Example:
        >>> colours = Registry("colour", "explorer.colours")
        >>> colours.register("red", "#f00")
        '#f00'
        >>> colours["blue"]
        Traceback (most recent call last):
        explorer.core.errors.InputError: unknown colour 'blue'; choose from: red
    """

    def __init__(self, what: str, group: str, home: str = "") -> None:
        self.what, self.group, self._home = what, group, home
        self._entries: dict[str, T] = {}
        self._searched = False

    def register(self, name: str, value: T) -> T:
        """Add an entry and return its value; an existing entry is replaced only by one of the same type.

        Raises:
            InputError: the name is taken by an entry of another type.
        """
        old = self._entries.get(name)
        if old is not None and type(old) is not type(value):
            raise InputError(
                f"{self.what} {name!r} is registered already, as {type(old).__name__}; choose another name"
            )
        self._entries[name] = value
        return value

    def forget(self, name: str) -> None:
        """Remove an entry that `register` added."""
        self._entries.pop(name, None)

    def refresh(self) -> None:
        """Read the entry points again on the next lookup, since packages may have been installed meanwhile."""
        self._searched = False

    def __getitem__(self, name: str) -> T:
        """Return the value of a name.

        Raises:
            InputError: the name is unknown; the message lists the known ones.
        """
        if name not in self:
            raise unknown(self.what, name, self)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        self._import_home()
        if name not in self._entries:
            self._read_entry_points()
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        self._import_home()
        self._read_entry_points()
        return iter(list(self._entries))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _import_home(self) -> None:
        if self._home:
            home, self._home = self._home, ""
            import_module(home)

    def _read_entry_points(self) -> None:
        """Load the entries of other packages; one that fails to load is skipped with a warning."""
        if self._searched:
            return
        self._searched = True
        for point in entry_points(group=self.group):
            if point.name in self._entries:
                continue
            try:
                self._entries[point.name] = point.load()
            except Exception as error:
                warnings.warn(
                    f"{self.what} {point.name!r} of another package ({point.value}) cannot be loaded and is left out: "
                    f"{type(error).__name__}: {first_line(error)}",
                    stacklevel=2,
                )
