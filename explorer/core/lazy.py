"""Import public names on first use, so that importing a subpackage does not load torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Create a module's `__getattr__` (PEP 562) that imports public names on first use.

    Args:
        package: the module's `__name__`.
        homes: public name -> the module below `package` that defines it.

    Returns:
        A function that imports the module of a name once and caches the value.

    Example:
        __getattr__ = lazy(__name__, {"train_supernet": "training"})
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{homes[name]}"), name)
        setattr(sys.modules[package], name, value)
        return value

    return get
