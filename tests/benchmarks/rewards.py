"""PNAG's reward against scalar ones: dominance, MnasNet's, TuNAS's; and budgets between anchors against those at them.

    python -m tests.benchmarks.rewards docs/rewards.csv [--seeds 0 1 2]

Generators of the fashion-mnist study's predictor for the phone, everything equal but the reward, without imitation (the
published method). 100 budgets in one pass, raw networks: share of the hypervolume of a search of 1,000,000 evaluations,
share of budgets met, cost off its budget, and how far the accuracy is below that search's at the same budget (networks that
break their budget left out). "Anchors" and "between": the same gap at the budgets that have an embedding of their own, and half-way
between two of them. "dominance, at the anchors" was trained on the ten budgets at the anchors alone, as the paper does, so that the
others test its interpolation. Rows are appended, so a stopped run goes on.
"""

import argparse
from pathlib import Path

import numpy as np

from explorer.core.front import hypervolume, make_front
from explorer.searches import search
from explorer.study import open_study
from tests.benchmarks.ladder import append, rows_of

REWARDS = {
    "dominance": {}, "dominance, at the anchors": {"between": False}, "mnasnet": {"reward": "mnasnet"},
    "tunas": {"reward": "tunas"},
}  # fmt: skip
LONG = 1_000_000


def figures(study, generator, front, device) -> dict:
    """What the raw networks of one generator are worth."""
    corner = study.manifest.reference[device.name]
    code = generator.code

    def gap(limits):
        """Mean points below the front at the same budget, of networks that keep it; share of them; mean cost / budget - 1."""
        codes = generator.generate(limits[:, None], samples=1)
        costs, accuracy = device.cost(study.space, codes), study.predictor.evaluate(codes)
        kept = costs <= limits * (1 + 1e-9)
        best = np.array([front.accuracy[front.costs[:, 0] <= limit].max() for limit in limits])
        return codes, accuracy, costs, kept, 100 * np.nanmean((best - accuracy)[kept]) if kept.any() else np.nan

    low, high = front.costs[:, 0].min(), front.costs[:, 0].max()
    limits = np.geomspace(1.02 * low, high, 100)
    codes, accuracy, costs, kept, mean = gap(limits)
    found = make_front(study.space, codes, accuracy, costs[:, None], [device.name])
    # budgets below the front's cheapest network cannot be met
    anchors = np.geomspace(code.low[0], code.high[0], code.anchors)
    at = anchors[(anchors > 1.02 * low) & (anchors < high)]
    between = np.sqrt(at[1:] * at[:-1])
    return {
        "share": hypervolume(found.accuracy, found.costs, corner) / hypervolume(front.accuracy, front.costs, corner),
        "met": kept.mean(), "cost_off": np.abs(costs / limits - 1).mean(), "gap_points": mean,
        "gap_anchors": gap(at)[-1], "gap_between": gap(between)[-1], "distinct": len(np.unique(codes, axis=0)),
    }  # fmt: skip


def main(out: Path, seeds: list[int]) -> None:
    """Fill the table."""
    from explorer.generators.pnag import PnagConfig, train_pnag

    study = open_study("fashion-mnist")
    device = study.devices[study.main_targets[0]]
    front = search(study.space, study.predictor, [device], "memetic", LONG, 11)
    for seed in seeds:
        for reward, settings in REWARDS.items():
            if any((r["reward"], r["seed"]) == (reward, str(seed)) for r in rows_of(out)):
                continue
            config = PnagConfig(imitation=0.0, **settings)
            generator = train_pnag(study.space, study.predictor, [device], config, seed)
            found = {k: f"{v:.5g}" for k, v in figures(study, generator, front, device).items()}
            append(out, {"reward": reward, "seed": seed} | found)
            print(rows_of(out)[-1], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    given = parser.parse_args()
    main(given.out, given.seeds)
