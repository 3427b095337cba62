"""The enumerable space of the digits study: searches and generators against the whole truth.

    python -m tests.benchmarks.tiny

A tenth of the networks may be evaluated; shares of the true hypervolume are medians of five seeds.
"""

import json

import numpy as np

from explorer.core.front import hypervolume, make_front
from explorer.devices.population import costs_of
from explorer.searches import search
from explorer.study import open_study

ALGORITHMS = ("memetic", "nsga2", "sms-emoa", "spea2", "random")


def main(name: str = "digits", seeds: int = 5) -> dict:
    """Print and return the shares, per target."""
    study = open_study(name)
    space, devices = study.space, list(study.devices.values())
    codes = space.enumerate()
    accuracy, result = study.predictor.evaluate(codes), {"architectures": len(codes)}
    for target in study.main_targets:
        device, column = [study.devices[target]], list(study.devices).index(target)
        costs = costs_of(space, device, codes)
        truth = make_front(space, codes, accuracy, costs, [target], ((1 - accuracy).max(), costs.max()))
        shares = {}
        for algorithm in ALGORITHMS:
            found = [search(space, study.predictor, device, algorithm, len(codes) // 10, seed) for seed in range(seeds)]
            volumes = [hypervolume(f.accuracy, f.costs, truth.reference) for f in found]
            shares[algorithm] = round(float(np.median(volumes)) / truth.hypervolume, 5)
        limits = np.full((100, len(devices)), np.nan)
        limits[:, column] = np.geomspace(costs.min(), costs.max(), 100)
        for generator in study.generators:
            kept = study.generator(generator).select(limits)
            volume = hypervolume(kept.accuracy, kept.costs[:, [column]], truth.reference)
            shares[f"generator {generator}"] = round(volume / truth.hypervolume, 5)
        result[target] = shares
    print(json.dumps(result, indent=1))
    return result


if __name__ == "__main__":
    main()
