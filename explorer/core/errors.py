"""The error type for wrong user input.

Everything that a user can get wrong (a name, a number, a file) raises `InputError` with one line that names the bad
value and the allowed ones. The command line turns it into exit code 2, the web page into a message. Any other exception
is a bug in this package and keeps its traceback.
"""

import operator
from collections.abc import Iterable

LONGEST = 1500  # maximum number of characters of a message; longer ones are cut in the middle
# exceptions that parsing an external file can raise; only file readers may catch them: elsewhere they would hide bugs
READ_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class InputError(ValueError):
    """Wrong user input, described in one line."""

    def __init__(self, said: str) -> None:
        super().__init__(said if len(said) <= LONGEST else f"{said[: LONGEST // 2]} ... {said[-LONGEST // 2 :]}")


class MissingExtra(InputError):
    """A feature needs an optional dependency that is not installed."""


class Note(UserWarning):
    """Something that a user should know before going on; commands print it as one line."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the name of its type where the text is empty."""
    return next(iter(str(error).splitlines()), "")[:200] or type(error).__name__


def unknown(what: str, value: object, allowed: Iterable[object]) -> InputError:
    """Create an `InputError` for a name that is not among `allowed`.

    >>> str(unknown("space", "mobil", ["mobile-32"]))
    "unknown space 'mobil'; choose from: mobile-32"
    """
    names = ", ".join(str(name) for name in allowed) or "(none)"
    return InputError(f"unknown {what} {str(value)[:80]!r}; choose from: {names}")


def checked_seed(seed: object) -> int:
    """Return a random seed as an int.

    Raises:
        InputError: it is not a whole number of at least 0.
    """
    try:
        number = operator.index(seed)  # type: ignore[arg-type]  # refused below
    except TypeError:
        number = -1
    if number < 0 or isinstance(seed, bool):
        raise InputError(f"seed = {str(seed)[:80]!r}; expected a whole number of at least 0")
    return number


def require(package: str, what: str) -> None:
    """Raise `MissingExtra`, with the pip command, if a package of the extra `train` is not installed."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingExtra(f"{what} needs {package}, which is not installed: pip install 'pareto-explorer[train]'")


def require_torch(what: str) -> None:
    """Raise `MissingExtra` if torch is not installed."""
    require("torch", what)
