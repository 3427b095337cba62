"""What grows with what: seconds and memory against sizes, and the slope on logarithmic axes (1: proportional).

    python -m tests.benchmarks.scaling docs/scaling.json [--parts users]
    python -m tests.benchmarks.scaling docs/scaling.json --table

Slopes are of the upper half of the sizes, where fixed costs no longer matter. Medians of a few runs, on one thread.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.bench.timing import median_seconds as timed
from explorer.bench.timing import slope
from explorer.core.files import read_json, write_json


def row(unit: str, sizes: list, values: list) -> dict:
    """One line of the table."""
    return {"unit": unit, "sizes": sizes, "values": [float(f"{v:.4g}") for v in values],
            "slope": round(slope(sizes, values), 3)}  # fmt: skip


def architectures(study) -> dict:
    """Predicting, pricing and searching so many networks."""
    sizes = [1_000, 10_000, 100_000]
    codes = study.space.sample(sizes[-1], np.random.default_rng(0))
    device = study.devices[study.main_targets[0]]
    return {
        "predict n networks": row("s", sizes, [timed(lambda n=n: study.predictor.evaluate(codes[:n])) for n in sizes]),
        "price n networks": row("s", sizes, [timed(lambda n=n: device.cost(study.space, codes[:n])) for n in sizes]),
        "search with n evaluations": row("s", sizes, [
            timed(lambda n=n: study.search("memetic", devices=[study.main_targets[0]], evaluations=n, seed=0)) for n in sizes
        ]),
    }  # fmt: skip


def budgets(study) -> dict:
    """So many budgets in one pass."""
    low, high = study.budget_range(study.main_targets[0])
    sizes = [1, 10, 100, 1000]
    asked = {n: pd.DataFrame({study.main_targets[0]: np.linspace(1.01 * low, high, n)}) for n in sizes}
    return {
        "generate for n budgets": row("s", sizes, [timed(lambda n=n: study.generate_many(asked[n])) for n in sizes])
    }


def spaces() -> dict:
    """One network for one budget, in spaces of more decisions; opening a study of more devices."""
    from explorer.study import open_study

    studies = [open_study(name) for name in ("digits", "fashion-mnist", "imagenet-mobilenetv3")]
    sizes = [len(study.space.decisions) for study in studies]
    seconds = [timed(lambda s=s: s.generate({s.targets[0]: s.knee(s.targets[0])}), 9) for s in studies]
    return {"generate in a space of n decisions": row("s", sizes, seconds)}


def devices(study) -> dict:
    """The costs of 10,000 networks on so many devices."""
    codes = study.space.sample(10_000, np.random.default_rng(0))
    chosen = [study.devices[study.main_targets[i % len(study.main_targets)]] for i in range(16)]
    sizes = [1, 4, 16]
    return {"price 10,000 networks on n devices": row("s", sizes, [
        timed(lambda n=n: [d.cost(study.space, codes) for d in chosen[:n]]) for n in sizes
    ])}  # fmt: skip


def images(study) -> dict:
    """Accuracy of one network with inherited weights, on so many images."""
    from explorer.evaluators import SharedWeights

    code = study.space.sample(1, np.random.default_rng(0))
    sizes = [500, 1000, 2000, 4000]
    found = [
        timed(lambda n=n: SharedWeights(study.supernet, study.images, limit=n, calibration=n).evaluate(code))
        for n in sizes
    ]
    return {"measure one network on n images, calibrated on n": row("s", sizes, found)}


def processes(study) -> dict:
    """Sixteen random-weight scores in so many processes: speed against one."""
    from explorer.evaluators import RandomWeights

    codes = study.space.sample(16, np.random.default_rng(0))
    sizes = [1, 2]
    found = [
        timed(lambda n=n: RandomWeights(study.space, study.images, seeds=1, jobs=n).evaluate(codes), 1) for n in sizes
    ]
    return {"rank 16 networks in n processes": row("s", sizes, found)}


def users(_) -> dict:
    """So many tabs that move a slider every second."""
    from tests.trust.load import crowd

    sizes = [2, 6, 18]
    found = [crowd(n, 20) for n in sizes]
    return {
        "n visitors, kernels in all": row("MB", sizes, [n * one["kernel_mb"] for n, one in zip(sizes, found)]),
        "n visitors, slider to chart, p95": row("ms", sizes, [one["p95_ms"] for one in found]),
    }


PARTS = {"architectures": architectures, "budgets": budgets, "spaces": lambda _: spaces(), "devices": devices,
         "images": images, "processes": processes, "users": users}  # fmt: skip


def main(out: Path, parts: list[str]) -> None:
    """Measure parts; what stands in the file of others stays."""
    import torch

    from explorer.study import open_study

    torch.set_num_threads(1)
    study = open_study("fashion-mnist")
    found = read_json(out) if out.exists() else {}
    for name in parts:
        found |= PARTS[name](study)
        write_json(out, found)


def table(out: Path) -> str:
    """The rows as markdown."""
    lines = ["| | n | | slope |", "|---|---|---|---|"]
    for name, r in read_json(out).items():
        sizes = ", ".join(f"{n:,}" for n in r["sizes"])
        values = ", ".join(f"{v:.3g}" for v in r["values"])
        lines.append(f"| {name} | {sizes} | {values} {r['unit']} | {r['slope']:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        print(table(given.out))
    else:
        main(given.out, given.parts)
