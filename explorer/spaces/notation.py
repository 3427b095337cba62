"""Reading an architecture from text: its key, or the notation of another project that its space reads."""

from __future__ import annotations

import json

from explorer.core.architecture import Architecture, key_of
from explorer.core.errors import InputError
from explorer.core.protocols import SearchSpace
from explorer.spaces.base import FromString, OnceForAll


def read_architecture(space: SearchSpace, text: str) -> Architecture:
    """Read an architecture.

    Args:
        space: the search space.
        text: a key; a string of a benchmark or another project, where the space reads them (`FromString`); or
            once-for-all's dict as JSON, where the space reads that (`OnceForAll`).

    Raises:
        InputError: the text has none of the forms that the space reads; the message lists them.
    """
    text = text.strip()
    if isinstance(space, OnceForAll) and text.startswith("{"):
        try:
            return space.from_ofa(json.loads(text))
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"architecture {text[:120]!r} is not once-for-all's dict: {error}") from error
    if text.isalnum():
        return Architecture.from_key(space, text)
    if isinstance(space, FromString):
        return space.from_string(text)
    example = key_of(space, [0] * len(space.decisions))
    more = ', or once-for-all\'s dict, {"ks": [...], "e": [...], "d": [...]}' * isinstance(space, OnceForAll)
    raise InputError(
        f"architecture {text[:120]!r} is not in a form that space {space.name!r} reads: a key such as {example}{more}"
    )
