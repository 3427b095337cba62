"""Multi-objective search over (error, costs): beside the generators, and their yardstick."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from explorer.core.errors import InputError, require, unknown
from explorer.core.front import Front, make_front
from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.core.registry import Registry
from explorer.devices import amount
from explorer.devices.population import costs_of, nearest, overshoot
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
    """Search the front of accuracy against the costs of some devices.

    Args:
        space, evaluator, devices: anybody's.
        algorithm: a name in `ALGORITHMS`: "memetic" (ours), "nsga2", "sms-emoa", "spea2" (published, need pymoo),
            "constrained" (once-for-all's, one run per budget) or "random".
        evaluations: at most so many distinct architectures are evaluated.
        seed: of everything random.
        progress: reports rounds.
        budgets: device name -> highest cost; the front keeps to them.
        patience: stop after so many evaluations without a gain in hypervolume.
        reference: worst corner (error, costs...) of the hypervolume; 1.1 x the worst evaluated unless given.
        file: results are saved there now and then; where it exists, the same search goes on to the same front.

    Raises:
        InputError: unknown algorithm or device, no device, fewer than one evaluation, a budget that no network meets
            (the message gives the nearest), a file of another search.
        MissingExtra: a published algorithm, without pymoo.
    """
    run = ALGORITHMS[algorithm]
    if not devices:
        raise InputError("a search needs at least one device")
    if evaluations < 1:
        raise InputError(f"evaluations = {evaluations}; at least 1 is needed")
    if patience is not None and patience < 1:
        raise InputError(f"patience = {patience}; at least 1 evaluation is needed")
    limits = _limits(space, devices, budgets or {})
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
    """(m,) budgets in the devices' order, NaN where free; refused where nothing fits."""
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
            asked = ", ".join(f"{name} {value:g}" for name, value in budgets.items())
            found = ", ".join(f"{d.name} {amount(d, c)}" for c, d in zip(closest[0], devices) if d.name in budgets)
            raise InputError(f"budget {asked} is not reachable; the nearest reachable network has {found}")
    return limits


def fronts(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], evaluations: int = 20_000, seed: int = 0,
    progress: Progress = silent,
) -> list[Front]:  # fmt: skip
    """One front per device, in their order; and with several devices, last, the front over all of them at once."""
    groups = [[device] for device in devices] + [list(devices)] * (len(devices) > 1)
    return [search(space, evaluator, group, "memetic", evaluations, seed, progress) for group in groups]


__all__ = ["ALGORITHMS", "fronts", "search"]
