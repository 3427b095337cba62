"""The one error that a person can cause.

Everything that a user may get wrong (a name, a number, a file) raises `InputError` with one plain line that
names the bad value and the allowed ones. The command turns it into exit code 2, the page into a message.
Any other exception is a defect of ours and keeps its traceback.
"""

from collections.abc import Iterable

LONGEST = 1500  # characters of a message, whatever was put in
# what reading something from outside can raise; to be caught by readers of files only: elsewhere it would hide defects
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
    """Wrong input, said in one line."""

    def __init__(self, said: str) -> None:
        super().__init__(said if len(said) <= LONGEST else f"{said[: LONGEST // 2]} ... {said[-LONGEST // 2 :]}")


class MissingExtra(InputError):
    """A part of the package that this installation lacks."""


def first_line(error: BaseException) -> str:
    """The first line of an error's text, else its kind."""
    return next(iter(str(error).splitlines()), "")[:200] or type(error).__name__


def unknown(what: str, value: object, allowed: Iterable[object]) -> InputError:
    """An `InputError` for a name that is none of `allowed`.

    >>> str(unknown("space", "mobil", ["mobile-32"]))
    "unknown space 'mobil'; choose from: mobile-32"
    """
    names = ", ".join(str(name) for name in allowed) or "(none)"
    return InputError(f"unknown {what} {str(value)[:80]!r}; choose from: {names}")


def require(package: str, what: str) -> None:
    """Raise `MissingExtra` with the install line where a package of the extra `train` is absent."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingExtra(f"{what} needs {package}, which is not installed: pip install 'pareto-explorer[train]'")


def require_torch(what: str) -> None:
    """`require` torch."""
    require("torch", what)
