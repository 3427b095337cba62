"""Multi-objective search over (error, costs): an alternative to the generators, and their baseline."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from explorer.core.errors import InputError, checked_seed, require, unknown
from explorer.core.front import Front, make_front
from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.core.registry import Registry
from explorer.devices import not_reachable
from explorer.devices.population import costs_of, nearest, overshoot, priced
from explorer.searches.archive import Archive, Finished
from explorer.searches.constrained import constrained
from explorer.searches.memetic import memetic, random

Algorithm = Callable[[Archive, np.random.Generator, Progress], None]


def _from_pymoo(name: str) -> Algorithm:
    def run(archive: Archive, rng: np.random.Generator, progress: Progress) -> None:
        require("pymoo", f"search algorithm {name!r}")
        from explorer.searches.published import published

        published(name, archive, rng, progress)

    return run


ALGORITHMS: Registry[Algorithm] = Registry("algorithm", "explorer.searches")
ALGORITHMS.register("memetic", memetic)
for _name in ("nsga2", "sms-emoa", "spea2"):
    ALGORITHMS.register(_name, _from_pymoo(_name))
ALGORITHMS.register("random", random)
ALGORITHMS.register("constrained", constrained)


def search(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], algorithm: str = "memetic",
    evaluations: int = 100_000, seed: int = 0, progress: Progress = silent, *,
    budgets: Mapping[str, float] | None = None, patience: int | None = None, file: str | Path | None = None,
    reference: Sequence[float] | None = None,
) -> Front:  # fmt: skip
    """Search for the front of accuracy against the costs on one or more devices.

    Args:
        space, evaluator, devices: any objects that implement the protocols in `explorer.core.protocols`.
        algorithm: a name in `ALGORITHMS`: "memetic" (our own), "nsga2", "sms-emoa", "spea2" (published, need pymoo),
            "constrained" (once-for-all's evolutionary search, one run per budget) or "random".
        evaluations: largest number of architectures that the evaluator gets; it gets each of them once.
        seed: random seed.
        progress: reports rounds.
        budgets: device name -> highest cost, in the device's unit; every network of the front meets them.
        patience: stop after this many evaluations without a gain in hypervolume; None for no early stop.
        file: results are saved to this file at intervals; if it exists, the same search resumes and finds the same
            front.
        reference: worst corner (error, costs...) of the hypervolume; by default 1.1 x the worst values evaluated.

    Returns:
        The non-dominated architectures found.

    Raises:
        InputError: the algorithm or a budget's device is unknown; there is no device; `evaluations` or `patience` is
            below 1; no network meets the budgets (the message gives the nearest reachable costs); or the file belongs
            to another search.
        MissingExtra: the algorithm needs pymoo, which is not installed.
    """
    run, seed = ALGORITHMS[algorithm], checked_seed(seed)
    if not devices:
        raise InputError("a search needs at least one device")
    if evaluations < 1:
        raise InputError(f"evaluations = {evaluations}; at least 1 is needed")
    if patience is not None and patience < 1:
        raise InputError(f"patience = {patience}; at least 1 evaluation is needed")
    limits = _limits(space, devices, budgets or {})
    priced(space, devices, space.sample(256, np.random.default_rng(0)))  # raises if none has a cost
    about = {
        "space": space.name, "devices": [d.name for d in devices], "algorithm": algorithm, "seed": seed,
        "budgets": dict(budgets or {}),
    }  # fmt: skip
    archive = Archive(
        space, evaluator, devices, evaluations, limits, patience, None if file is None else Path(file), about
    )
    try:
        run(archive, np.random.default_rng(seed), progress)
    except Finished:
        pass
    finally:
        archive.save()
    return make_front(
        space, archive.codes, archive.accuracy, archive.costs, [device.name for device in devices],
        tuple(1.1 * archive.worst) if reference is None else reference, evaluations=archive.count,
    )  # fmt: skip


def _limits(space: SearchSpace, devices: Sequence[Device], budgets: Mapping[str, float]) -> np.ndarray:
    """Return the budgets in the devices' order, (m,), NaN where there is none; refuse budgets that no network meets."""
    names = [device.name for device in devices]
    for name, value in budgets.items():
        if name not in names:
            raise unknown("device of a budget", name, names)
        if not (isinstance(value, (int, float, np.number)) and np.isfinite(value) and value > 0):
            raise InputError(
                f"budget {name} = {value!r}; expected a number of {devices[names.index(name)].unit} above 0"
            )
    limits = np.array([float(budgets.get(name, np.nan)) for name in names])
    if budgets:
        closest = costs_of(space, devices, nearest(space, devices, limits)[None])
        if overshoot(closest, limits[None])[0] > 1:
            raise InputError(not_reachable(dict(zip(names, devices)), budgets, dict(zip(names, closest[0]))))
    return limits


def fronts(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], evaluations: int = 20_000, seed: int = 0,
    progress: Progress = silent,
) -> list[Front]:  # fmt: skip
    """Search one front per device, in their order, and with several devices a last front over all of them together."""
    groups = [[device] for device in devices] + [list(devices)] * (len(devices) > 1)
    return [search(space, evaluator, group, "memetic", evaluations, seed, progress) for group in groups]


__all__ = ["ALGORITHMS", "fronts", "search"]
