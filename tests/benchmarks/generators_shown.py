"""Blocks of docs/results.md about what generators cost, and about devices that are new."""

import numpy as np

from explorer.core.files import read_json
from tests.benchmarks import shown
from tests.benchmarks.costs import SEEDS, VARIANTS
from tests.benchmarks.shown import csv, spread, table


def _thousands(value: float) -> str:
    return f"{value / 1000:,.0f} k" if value >= 1000 else f"{value:.0f}"


def _pays(spent: float, each: float) -> str:
    """After how many requests a spending is less than as many searches."""
    return f"{int(np.ceil(spent / each)):,}"


def costs() -> str:
    """Quality and costs of every method, and after how many requests it has paid for itself."""
    found = read_json(shown.DOCS / "costs.json")
    front, joint = found["a front"], found["a joint budget"]
    quality, paid = [], []
    for name in VARIANTS:
        runs = [found[key] for seed in SEEDS if (key := f"{name}, seed {seed}") in found]
        of = lambda what, runs=runs: [run[what] for run in runs]  # noqa: E731
        mean = {what: float(np.mean(of(what))) for what in runs[0]}
        quality.append([
            name, len(runs), spread(of("share"), "{:.4f}"), spread(of("raw_met"), "{:.0%}"),
            spread(of("joint_gap_points"), "{:.3f}"), spread(of("joint_raw_met"), "{:.0%}"),
        ])  # fmt: skip
        evaluations = mean["imitated"] + mean["evaluations"] + mean["pool_evaluations"]
        seconds = mean["seconds"] + mean["pool_seconds"]
        new = (mean["pool_evaluations"], mean["pool_seconds"]) if name == "expert" else (evaluations, seconds)
        cells = [
            f"{_pays(spent[0], search['evaluations'])} / {_pays(spent[1], search['seconds'])}"
            for spent, search in (((evaluations, seconds), joint), ((evaluations, seconds), front["memetic"]),
                                  ((evaluations, seconds), front["nsga2"]), (new, joint))
        ]  # fmt: skip
        paid.append([
            name, f"{_thousands(mean['imitated'])} + {_thousands(mean['evaluations'])}", f"{mean['seconds']:.0f}",
            f"{_thousands(mean['pool_evaluations'])}, {mean['pool_seconds']:.2f}", f"{mean['budget_ms']:.3f}", *cells,
        ])  # fmt: skip
    first = table(
        ["generator", "trainings", "100 budgets: share of the best", "raw met", "300 joint budgets: gap [points]", "raw met"],
        quality,
    )  # fmt: skip
    second = table(
        ["generator", "evaluations: imitated + own", "seconds", "pool: evaluations, seconds", "a budget [ms]",
         "joint budgets", "devices, `memetic`", "devices, NSGA-II", "joint budgets on a new device"], paid,
    )  # fmt: skip
    said = ", ".join(
        f"{name} {row['evaluations']:,} evaluations and {row['seconds']:.2f} s (share {row['share']:.4f})"
        for name, row in front.items()
    )
    return (
        f"{first}\n\nSpent, and the number of requests after which that is less than searches spend (by evaluations / by seconds):"
        f"\n\n{second}\n\nOne search for all budgets on one device, until its networks are as good as the first `expert`'s: {said}. "
        f"One search for one joint budget, the most that was tried: {joint['evaluations']:,} evaluations and "
        f"{joint['seconds']:.2f} s, gap {joint['gap_points']:.3f} points."
    )


def unseen() -> str:
    """Devices that the generator was not trained on."""
    rows = []
    for r in csv("unseen.csv").itertuples():
        rows.append([
            r.device + (" (left out)" if r.left_out else ""), f"{r.share:.4f}", f"{r.retrained_share:.4f}",
            f"{r.share / r.retrained_share:.2%}", f"{r.nsga2_share:.4f}", f"{r.met:.0%}",
            f"{r.raw_met:.0%} / {r.retrained_raw_met:.0%}", f"{r.seconds:.1f}",
            f"{r.retrained_seconds:.0f} ({_thousands(r.retrained_evaluations)})",
        ])  # fmt: skip
    return table(
        ["device", "at once", "retrained", "at once over retrained", "NSGA-II, 20,000", "met", "raw met: at once / retrained",
         "seconds to the first network", "seconds (evaluations) of retraining"], rows,
    )  # fmt: skip


def few() -> str:
    """Devices from few measurements."""
    rows = []
    for r in csv("few.csv").itertuples():
        kinds = ("few", "scratch", "macs", "many")
        cells = [f"{getattr(r, f'{k}_within'):.0%}, {getattr(r, f'{k}_tau'):.3f}" for k in kinds]
        rows.append(
            [r.device if r.kind == "measured" else f"{r.device} ({r.kind})", r.networks, *cells, f"{r.covered:.0%}"]
        )
    return table(
        ["device", "networks", "from known devices", "from nothing", "MACs, scaled", "from 900 measurements",
         "inside the stated band"], rows,
    )  # fmt: skip


def strangers() -> str:
    """An evaluator and devices that are known by their protocol alone."""
    found = read_json(shown.DOCS / "strangers.json")
    rows = [
        [f"one device, {r['evaluations']:,}", f"{r['asked']:,}", f"{r['seconds']:.0f}", f"{r['share']:.2%} of the best hypervolume", ""]
        for r in found["one"]
    ]  # fmt: skip
    three = found["three"]
    rows.append([
        f"three devices, {three['evaluations']:,}", f"{three['asked']:,}", f"{three['seconds']:.0f}",
        f"gap {three['gap_points']:.3f} points", f"{three['raw_met']:.0%}",
    ])  # fmt: skip
    return table(["evaluations allowed", "asked", "seconds", "quality", "raw met"], rows)
