"""Errors in callbacks: said on the page in plain words, written to the log in full."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from explorer.errors import InputError

log = logging.getLogger("explorer.page")


def guarded(say: Callable[[str], None]) -> Callable:
    """Decorate a callback: `InputError` is said as it is, anything else as "something went wrong"."""

    def decorate(callback: Callable) -> Callable:
        @wraps(callback)
        def wrapped(*arguments: Any, **named: Any) -> Any:
            try:
                return callback(*arguments, **named)
            except InputError as error:
                say(str(error))
            except Exception as error:
                log.exception("a callback failed")
                say(f"Something went wrong ({type(error).__name__}); the page's log has the details.")
            return None

        return wrapped

    return decorate
