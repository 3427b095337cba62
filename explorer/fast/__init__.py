"""Compiled training operations for CPUs: faster than torch's own, with the same results up to rounding.

The environment variable `EXPLORER_FAST=0`, read when the process starts, turns all of them off. A comma-separated list
of names keeps only those, to measure how much each one gains:

    depthwise   gradients of depthwise convolutions          explorer.fast.depthwise
    normact     batch norm with its activation               explorer.fast.normact
    memory      keeps freed memory in the process            explorer.fast.memory

Every function here states when it applies; otherwise torch's own operation is used.
"""

import os

from explorer.core.errors import unknown

NAMES = ("depthwise", "normact", "memory")


def chosen(setting: str) -> frozenset[str]:
    """Return the names that a value of `EXPLORER_FAST` enables: none for "0", all for "1" or "", else those listed.

    Raises:
        InputError: a word that is none of these.
    """
    words = {word.strip() for word in setting.split(",")} - {""}
    if words <= {"1"}:
        return frozenset(NAMES)
    for word in words - {"0", *NAMES}:
        raise unknown("EXPLORER_FAST", word, ("0", "1", *NAMES))
    return frozenset(words - {"0"})


ON = chosen(os.environ.get("EXPLORER_FAST", ""))
