"""Generators: budgets in, architectures out. Training a generator needs torch; running it does not."""

from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np

from explorer.core.errors import InputError, checked_seed, require_torch
from explorer.core.protocols import Device, Evaluator, Progress, SearchSpace, silent
from explorer.devices import amount
from explorer.devices.population import cheapest, dearest
from explorer.generators.budgets import BudgetCode
from explorer.generators.comparing import MANY, USUAL, beside_nsga2, is_cheap
from explorer.generators.enumeration import NAME as ENUMERATION
from explorer.generators.enumeration import Enumeration
from explorer.generators.methods import METHODS, Method
from explorer.generators.open import open_generator
from explorer.generators.ranking import by_accuracy, side_by_side
from explorer.generators.runtime import BudgetGenerator
from explorer.generators.selection import Pool, Selection
from explorer.generators.settings import MethodSettings
from explorer.searches import fronts

LEAST = 100  # smallest accepted number of evaluations


def train_generator(
    space: SearchSpace, evaluator: Evaluator, devices: Sequence[Device], method: str = "pnag", seed: int = 0,
    evaluations: int | None = None, config: MethodSettings | None = None, progress: Progress = silent,
) -> BudgetGenerator:  # fmt: skip
    """Train a budget-conditioned generator.

    Args:
        space: the search space.
        evaluator: gives the accuracy of architectures.
        devices: the devices whose costs can be budgets; a request may bound all of them or any subset.
        method: a name in `METHODS`: "expert" (this package's own), "pnag" or "sgnas" (published methods).
        seed: random seed of the whole training.
        evaluations: approximate number of architectures to evaluate, at least 100. By default 20,000; where the
            evaluator is cheap (it is timed), 100,000, most of them in searches whose fronts the generator learns from.
        config: the method's settings; by default they are derived from `evaluations`.
        progress: reports training steps.

    Returns:
        The generator. By default, where the evaluator is cheap and pymoo is installed, its `compared` holds its
        hypervolume beside that of NSGA-II with as many evaluations, see `comparing.beside_nsga2`.

    Raises:
        InputError: unknown method, no device, a device on which all costs are equal or not positive, or too few
            evaluations.
        MissingExtra: torch is not installed.
    """
    chosen, seed = METHODS[method], checked_seed(seed)
    if not devices:
        raise InputError("training a generator needs at least one device")
    if evaluations is not None and evaluations < LEAST:
        raise InputError(f"evaluations = {evaluations}; at least {LEAST} are needed")
    check_costs(space, devices)
    require_torch("training a generator")
    if evaluations is not None or config is not None or not is_cheap(space, evaluator):
        settings = config or chosen.settings.of(evaluations or USUAL)
        return chosen.train(space, evaluator, devices, settings, seed, progress)
    each = (MANY - USUAL) // (len(devices) + (len(devices) > 1))
    known = np.concatenate([f.codes for f in fronts(space, evaluator, devices, each, seed, progress)])
    generator = chosen.train(space, evaluator, devices, chosen.settings.of(USUAL), seed, progress, known)
    if find_spec("pymoo") is not None:
        generator.compared = beside_nsga2(generator, devices, MANY, seed, progress)
    return generator


def check_costs(space: SearchSpace, devices: Sequence[Device]) -> None:
    """Check that costs on every device are above 0 and differ between networks, so that a generator can be trained.

    Raises:
        InputError: they are not, or a device has no costs for the space.
    """
    for device in devices:
        low, high = (float(device.cost(space, end(space, device)[None])[0]) for end in (cheapest, dearest))
        if low == high:
            said = f"every network costs {amount(device, low)}, so cost cannot be a budget"
            raise InputError(f"device {device.name!r}: {said}")
        if not 0 < low < high:
            said = f"networks cost {amount(device, low)} to {amount(device, high)}; a budget needs costs above 0"
            raise InputError(f"device {device.name!r}: {said}")


__all__ = [
    "ENUMERATION", "METHODS", "BudgetCode", "BudgetGenerator", "Enumeration", "Method", "MethodSettings", "Pool",
    "Selection", "by_accuracy", "check_costs", "is_cheap", "open_generator", "side_by_side", "train_generator",
]  # fmt: skip
