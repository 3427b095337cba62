"""`Architecture`: one point of a search space, as one option index per decision.

A position in this vector is called a gene. Architectures are hashable, and their key is safe as a file name, in a CSV
cell and in a URL query. They know which decisions the space has, not what the decisions mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from explorer.core.errors import InputError
from explorer.core.protocols import SearchSpace

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Architecture:
    """An architecture of a search space, in canonical form.

    The choices are made canonical on construction, so equal networks compare equal and have equal keys.
    Args:
        space: the search space that the architecture belongs to.
        choices: one option index per decision, in gene order.

    Raises:
        InputError: the number of choices is wrong, or an index is outside a decision's options.

    Example:
        >>> from explorer.spaces import SPACES
        >>> space = SPACES["mobile-tiny"]
        >>> Architecture(space, [0] * len(space.decisions)).key
        'a0000000000'
    """

    space: SearchSpace = field(compare=False, repr=False)
    choices: tuple[int, ...]

    def __init__(self, space: SearchSpace, choices: Sequence[int] | np.ndarray) -> None:
        codes = as_codes(space, [tuple(int(c) for c in choices)])
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "choices", tuple(int(c) for c in space.canonical(codes)[0]))

    @classmethod
    def many(cls, space: SearchSpace, codes: np.ndarray) -> list[Architecture]:
        """Create one architecture per row of (n, d) codes; all rows are checked and made canonical in one step."""
        made = []
        for row in space.canonical(as_codes(space, codes)).tolist():
            one = object.__new__(cls)
            object.__setattr__(one, "space", space)
            object.__setattr__(one, "choices", tuple(row))
            made.append(one)
        return made

    @property
    def codes(self) -> np.ndarray:
        """The choices as an array, (d,) int8."""
        return np.array(self.choices, np.int8)

    @property
    def key(self) -> str:
        """The letter "a", then one base-36 digit per gene (two digits where a decision has more than 36 options)."""
        return key_of(self.space, self.choices)

    @property
    def values(self) -> dict[str, Any]:
        """Decision name -> chosen option value, in gene order."""
        return {name: options[c] for c, (name, options) in zip(self.choices, self.space.decisions.items())}

    def __str__(self) -> str:
        return self.key

    @classmethod
    def from_key(cls, space: SearchSpace, key: str) -> Architecture:
        """Parse a key.

        Raises:
            InputError: the text is not a key of this space.
        """
        widths = [_width(len(options)) for options in space.decisions.values()]
        body = key[1:] if isinstance(key, str) and key[:1] == "a" else ""
        if len(body) != sum(widths) or any(c not in DIGITS for c in body):
            raise InputError(
                f"architecture {str(key)[:80]!r} is not a key of space {space.name!r}: "
                f"expected 'a' and {sum(widths)} digits, one per decision"
            )
        choices, at = [], 0
        for width in widths:
            choices.append(int(body[at : at + width], 36))
            at += width
        return cls(space, choices)

    @classmethod
    def from_values(cls, space: SearchSpace, values: Mapping[str, Any]) -> Architecture:
        """Create an architecture from decision values, for example `{"d1": 2, "k1.1": 5, ...}`, one for every decision.

        Raises:
            InputError: a decision is missing or unknown, or a value is not among its options.
        """
        extra = sorted(set(values) - set(space.decisions))
        missing = [name for name in space.decisions if name not in values]
        if extra or missing:
            raise InputError(f"decisions of {space.name!r}: unknown {extra}, missing {missing}")
        choices = []
        for name, options in space.decisions.items():
            if values[name] not in options:
                raise InputError(f"decision {name!r} is {values[name]!r}; choose from: {tuple(options)}")
            choices.append(tuple(options).index(values[name]))
        return cls(space, choices)


def key_of(space: SearchSpace, choices: Sequence[int] | np.ndarray) -> str:
    """Return the key of one canonical row of codes."""
    digits = []
    for c, options in zip(choices, space.decisions.values()):
        c = int(c)
        digits.append(DIGITS[c] if _width(len(options)) == 1 else DIGITS[c // 36] + DIGITS[c % 36])
    return "a" + "".join(digits)


def choices_of(architecture: Architecture | np.ndarray | Sequence[int]) -> tuple[int, ...]:
    """Return the option indices of an architecture or of a row of codes, without checking them."""
    choices = architecture.choices if isinstance(architecture, Architecture) else architecture
    return tuple(int(c) for c in choices)


def _width(options: int) -> int:
    return 1 if options <= 36 else 2


def as_codes(space: SearchSpace, codes: Any) -> np.ndarray:
    """Check a population and return it as an (n, d) int8 array.

    Accepts an array, a list of rows or a list of `Architecture`.

    Raises:
        InputError: the shape or type is wrong, or an index is outside its decision's options; names the first bad
            decision.
    """
    if isinstance(codes, Architecture):
        codes = [codes]
    if len(codes) and isinstance(codes[0], Architecture):
        codes = [a.choices for a in codes]
    array = np.asarray(codes)
    d = len(space.decisions)
    if array.size == 0:
        return np.zeros((0, d), np.int8)
    if array.ndim != 2 or array.shape[1] != d or array.dtype.kind not in "iu":
        raise InputError(
            f"a population of {space.name!r} is an integer array of shape (n, {d}), not {array.dtype} {array.shape}"
        )
    counts = np.array([len(options) for options in space.decisions.values()])
    if (array.min(0) < 0).any() or (array.max(0) >= counts).any():
        row, gene = map(int, np.argwhere((array < 0) | (array >= counts))[0])
        name = list(space.decisions)[gene]
        raise InputError(
            f"decision {name!r} has no option {int(array[row, gene])}; choose from 0 to {counts[gene] - 1} "
            f"(values {tuple(space.decisions[name])})"
        )
    return array.astype(np.int8, copy=False)
