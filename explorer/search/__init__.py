"""Multi-objective search over (error, costs): the yardstick of the generators."""

from collections.abc import Sequence

import numpy as np

from explorer.errors import InputError, unknown
from explorer.front import Front, make_front
from explorer.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.search.memetic import Archive, memetic, random

ALGORITHMS = {"memetic": memetic, "random": random}


def search(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], algorithm: str = "memetic",
    evaluations: int = 100_000, seed: int = 0, progress: Progress = silent,
) -> Front:  # fmt: skip
    """Search the front of accuracy against the costs of some devices.

    Args:
        space, evaluator, devices: anybody's.
        algorithm: "memetic" or "random".
        evaluations: at most so many distinct architectures are evaluated.
        seed: of everything random.
        progress: reports rounds.

    Raises:
        InputError: unknown algorithm, no device, fewer than one evaluation.
    """
    if algorithm not in ALGORITHMS:
        raise unknown("algorithm", algorithm, ALGORITHMS)
    if not devices:
        raise InputError("a search needs at least one device")
    if evaluations < 1:
        raise InputError(f"evaluations = {evaluations}; at least 1 is needed")
    archive = Archive(space, evaluator, devices)
    ALGORITHMS[algorithm](archive, evaluations, np.random.default_rng(seed), progress)
    return make_front(
        space, archive.codes, archive.accuracy, archive.costs, [device.name for device in devices],
        tuple(1.1 * archive.worst), evaluations=len(archive.seen),
    )  # fmt: skip


def fronts(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], evaluations: int = 20_000, seed: int = 0,
    progress: Progress = silent,
) -> list[Front]:  # fmt: skip
    """One front per device, in their order; and with several devices, last, the front over all of them at once."""
    groups = [[device] for device in devices] + [list(devices)] * (len(devices) > 1)
    return [search(space, evaluator, group, "memetic", evaluations, seed, progress) for group in groups]


__all__ = ["ALGORITHMS", "fronts", "search"]
