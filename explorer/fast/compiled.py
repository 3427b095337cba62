"""Compile a loop with numba, and keep the result for later processes where a folder can be written."""

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(loop: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a parallel loop on first use.

    numba keeps the machine code beside the source, or in the user's cache folder; where neither can be written (an
    installation that is read-only), it is compiled again in every process, which takes some seconds.
    """
    try:
        made: Callable[..., Any] = njit(parallel=True, cache=True)(loop)
    except RuntimeError:  # "no locator available"
        made = njit(parallel=True)(loop)
    return made


def cached() -> bool:
    """Whether numba finds a folder for compiled loops."""

    def nothing() -> None:
        pass

    try:
        njit(cache=True)(nothing)
    except RuntimeError:
        return False
    return True
