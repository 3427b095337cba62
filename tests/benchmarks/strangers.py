"""`expert` for an evaluator and devices of which nothing is known but the two protocols.

    python -m tests.benchmarks.strangers docs/strangers.json

Behind the plain classes are the ImageNet study's predictor and its phone, CPU and GPU (46 decisions). One device: 100
budgets, hypervolume to (100 ms, 25 % error), against two long searches. Three devices: the 300 joint budgets of
`tests.benchmarks.costs`, whose best networks stand in docs/costs.json. Wall-clock seconds on two cores.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np

import explorer as ex
from explorer.core.files import read_json, write_json
from explorer.core.front import hypervolume
from explorer.devices.population import overshoot
from explorer.searches import search
from tests.benchmarks.costs import Costs

ONE, THREE, CORNER, LONG = (20_000, 100_000, 400_000), 2_000_000, (0.25, 100.0), 1_000_000


class Accuracy:
    """A stranger's evaluator."""

    def __init__(self, predictor) -> None:
        self._predictor, self.asked = predictor, 0

    def evaluate(self, codes):
        """Accuracies of (n, d) networks."""
        self.asked += len(codes)
        return self._predictor.evaluate(codes)


class Stopwatch:
    """A stranger's device."""

    unit = "ms"

    def __init__(self, name: str, device) -> None:
        self.name, self._device = name, device

    def cost(self, space, codes):
        """Milliseconds of (n, d) networks."""
        return self._device.cost(space, codes)


def trained(costs: Costs, devices: list[Stopwatch], evaluations: int):
    """Train `expert` with the usual settings: (generator, {evaluations that it asked for, seconds})."""
    accuracy, start = Accuracy(costs.study.predictor), time.perf_counter()
    made = ex.train_generator(costs.space, accuracy, devices, method="expert", evaluations=evaluations)
    return made, {"asked": accuracy.asked, "seconds": time.perf_counter() - start}


def one(costs: Costs) -> list[dict]:
    """One device, several numbers of evaluations."""
    phone, predictor = Stopwatch("phone", costs.phone), costs.study.predictor
    long = [search(costs.space, predictor, [phone], "memetic", LONG, seed) for seed in (11, 12)]
    accuracy, cost = (np.concatenate([getattr(front, what) for front in long]) for what in ("accuracy", "costs"))
    best = hypervolume(accuracy, cost, CORNER)
    limits = np.geomspace(cost.min(), cost.max(), 100)[:, None]
    rows = []
    for evaluations in ONE:
        made, spent = trained(costs, [phone], evaluations)
        kept = made.select(limits)
        volume = hypervolume(kept.accuracy, kept.costs, CORNER)
        rows.append({"evaluations": evaluations, **spent, "share": volume / best, "met": float(kept.feasible.mean())})
        print(rows[-1], flush=True)
    return rows


def three(costs: Costs, best: np.ndarray) -> dict:
    """Three devices, 300 joint budgets."""
    devices = [Stopwatch(device.name, device) for device in costs.targets]
    made, spent = trained(costs, devices, THREE)
    limits = costs.joint[:, costs.columns]
    kept, raw = made.select(limits), made.generate(limits, samples=1)
    raw_costs = np.column_stack([device.cost(costs.space, raw) for device in devices])
    return {
        "evaluations": THREE, **spent, "met": float(kept.feasible.mean()),
        "raw_met": float((overshoot(raw_costs, limits) <= 1).mean()),
        "gap_points": float(100 * (best - kept.accuracy).mean()),
    }  # fmt: skip


def main(out: Path) -> None:
    """Write the figures."""
    costs = Costs()
    best = np.array(read_json(out.with_name("costs.json"))["best"])
    found = {"one": one(costs), "three": three(costs, best)}
    print(json.dumps(found["three"]))
    write_json(out, found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
