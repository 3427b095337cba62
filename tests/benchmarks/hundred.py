"""100 budgets on one device: what the networks that a generator or a search has for them are worth."""

from dataclasses import dataclass

import numpy as np

from explorer.core.front import hypervolume
from explorer.searches import search

BUDGETS, SAMPLE, LONG, PUBLISHED = 100, 20_000, 200_000, 20_000


@dataclass(frozen=True)
class Truth:
    """The best that is known for 100 budgets on a device.

    Attributes:
        limits: (100,) log-spaced between the cheapest and the dearest network of a long search.
        corner: (error, cost) up to which hypervolumes are computed.
        best: hypervolume of the long search's networks for these budgets, one each.
        nsga2: hypervolume of the whole front of NSGA-II with 20,000 evaluations.
    """

    limits: np.ndarray
    corner: tuple[float, float]
    best: float
    nsga2: float


def truth_of(space, evaluator, device) -> Truth:
    """Search a device's fronts."""
    codes = space.sample(SAMPLE, np.random.default_rng(0))
    corner = (1.1 * (1 - float(evaluator.evaluate(codes).min())), 1.1 * float(device.cost(space, codes).max()))
    long = search(space, evaluator, [device], "memetic", LONG, 0)
    limits = np.geomspace(long.costs.min(), long.costs.max(), BUDGETS)
    rows = [np.where(long.costs[:, 0] <= limit * (1 + 1e-12), long.accuracy, -1).argmax() for limit in limits]
    published = search(space, evaluator, [device], "nsga2", PUBLISHED, 0)
    return Truth(
        limits, corner, hypervolume(long.accuracy[rows], long.costs[rows], corner),
        hypervolume(published.accuracy, published.costs, corner),
    )  # fmt: skip


def shares_of(generator, device, truth: Truth) -> dict[str, float]:
    """What a generator's networks are worth, as shares of the best known: selected and raw ones, and budgets met."""
    column = [d.name for d in generator.devices].index(device.name)
    limits = np.full((len(truth.limits), len(generator.devices)), np.nan)
    limits[:, column] = truth.limits
    kept, raw = generator.select(limits), generator.generate(limits, samples=1)
    return {
        "share": hypervolume(kept.accuracy, kept.costs[:, [column]], truth.corner) / truth.best,
        "met": float(kept.feasible.mean()),
        "raw_met": float((device.cost(generator.space, raw) <= truth.limits).mean()),
    }
