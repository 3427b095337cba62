"""The generator for enumerable search spaces: it checks every network and returns the best that fits. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from explorer.core.errors import InputError
from explorer.core.protocols import Device, Evaluator, SearchSpace
from explorer.generators.selection import Pool, Selection
from explorer.spaces.base import Enumerable

NAME = "enumeration"


class Enumeration:
    """A generator without training: it selects from all networks of an enumerable space.

    Args:
        space: an enumerable search space (it has `enumerate()`).
        evaluator: gives the accuracy by which networks are ranked.
        devices: one per column of the limits.

    Raises:
        InputError: the space cannot be enumerated.
    """

    method, margin, parameters = NAME, 0.0, 0
    about: dict[str, Any]

    def __init__(self, space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device]) -> None:
        if not isinstance(space, Enumerable):
            raise InputError(f"space {space.name!r} cannot be enumerated: it needs a trained generator")
        self.space, self.evaluator, self.devices = space, evaluator, list(devices)
        self.codes = space.enumerate()
        self.about = {"evaluations": len(self.codes)}

    @property
    def conditioned(self) -> tuple[str, ...]:
        """Names of all devices: every network is compared."""
        return tuple(device.name for device in self.devices)

    @cached_property
    def pool(self) -> Pool:
        """All networks that no other one beats."""
        return Pool(self.space, self.devices, self.evaluator, self.codes, complete=True)

    def generate(self, limits: np.ndarray, rng: np.random.Generator | None = None, samples: int = 32) -> np.ndarray:
        """Return the best architecture for each request: (n, m) limits, NaN where unconstrained -> (n, d) int8."""
        return self.select(limits).codes

    def select(self, limits: np.ndarray) -> Selection:
        """Like `generate`, but also return costs, accuracy and feasibility."""
        return self.pool.select(limits)
