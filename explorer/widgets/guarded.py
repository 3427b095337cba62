"""Errors in callbacks: shown on the page in plain words, written to the log in full."""

import logging
import platform
import traceback
from collections.abc import Callable
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

import explorer
from explorer.core.errors import InputError

Say = Callable[..., None]  # shows a message on the page, and details to copy
log = logging.getLogger("explorer.page")


def alert(text: str, details: str = "") -> str:
    """Write a message, and details to copy, as HTML that screen readers announce."""
    more = f"<details><summary>Details to copy</summary><pre>{escape(details)}</pre></details>" if details else ""
    return f'<div role="alert">{escape(text)}</div>{more}'


def details(error: Exception) -> str:
    """What a bug report needs and nothing else: versions, type of the error, lines of this package in the traceback."""
    root = Path(explorer.__file__).parent
    places = [
        f"{Path(frame.filename).relative_to(root.parent).as_posix()}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).is_relative_to(root)
    ]
    about = f"explorer {explorer.__version__}, Python {platform.python_version()}, {platform.system()}"
    return "\n".join([about, type(error).__name__, *places])


def guarded(say: Say) -> Callable:
    """Decorate a callback: show the text of an `InputError`, and any other error as a fault with details to copy."""

    def decorate(callback: Callable) -> Callable:
        @wraps(callback)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            try:
                return callback(*arguments, **named)
            except InputError as error:
                say(str(error))
            except Exception as error:
                log.exception("a callback failed")
                say(f"Something went wrong ({type(error).__name__}); see the page's log for details.", details(error))
            return None

        return wrapped

    return decorate
