"""Compiled forms of what trains on CPUs: the same results as torch's own to rounding, sooner.

One switch turns all of them off: `EXPLORER_FAST=0` in the environment, read when the process starts. A comma-separated
list of names keeps only those (for measuring what each is worth):

    depthwise   gradients of depthwise convolutions          explorer.fast.depthwise
    normact     batch norm with its activation               explorer.fast.normact
    pointwise   1x1 convolutions as matrix products          explorer.fast.pointwise
    memory      freed memory stays in the process            explorer.fast.memory

Every function here says when it applies; elsewhere it is torch's own operation.
"""

import os

NAMES = ("depthwise", "normact", "pointwise", "memory")


def chosen(setting: str) -> frozenset[str]:
    """The names that a value of `EXPLORER_FAST` keeps: "0" none, "1" or "" all, else those listed."""
    words = {word.strip() for word in setting.split(",")}
    if words & {"0", "off", "no", "false"}:
        return frozenset()
    return frozenset(words & set(NAMES)) or frozenset(NAMES)


ON = chosen(os.environ.get("EXPLORER_FAST", ""))
