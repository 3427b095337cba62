"""Scores on fashion-mnist images against accuracies that others published for CIFAR-10: a transfer, and said to be one.

    EXPLORER_REFERENCE=... python -m tests.benchmarks.transfer docs/transfer.csv
    EXPLORER_REFERENCE=... python -m tests.benchmarks.transfer docs/transfer.csv --report

Networks of NAS-Bench-201 (5 cells a stage, 16 channels in the published training; here also smaller) and of NAS-Bench-Macro, drawn
once by seed. Rows are appended, so a stopped run goes on.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.core.layer import Layer
from explorer.core.operators import Conv, GlobalPool, Linear, MBConv
from tests.benchmarks.ladder import append, rows_of, score_by
from tests.conftest import REFERENCE

NETWORKS = 40
OWN = {"nasbench201": ("RWE", "bn", "all"), "nasbench_macro": ("RWE", "all")}  # of the rungs of the ladder
# name -> width, depth of the cells that are judged; the published training is the same for all
PROXIES = {"nasbench201": (16, 1), "nasbench_macro": (None, None)}


@dataclass(frozen=True)
class MacroSpace:
    """NAS-Bench-Macro (Su et al. 2021): eight places for nothing, or a MobileNetV2 block, small or large.

    It has only what a user's own space needs.
    """

    name: str = "nasbench_macro"
    channels: int = 3
    size: int = 32

    @property
    def decisions(self) -> dict[str, tuple[int, ...]]:
        """Place -> identity, kernel 3 and expansion 3, kernel 5 and expansion 6."""
        return {f"place{i}": (0, 1, 2) for i in range(8)}

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, 8) int8."""
        return self.canonical(rng.integers(0, 3, (n, 8)).astype(np.int8))

    def canonical(self, codes: np.ndarray) -> np.ndarray:
        """Identities last in their stage; the first place of a stage is never moved."""
        codes = np.array(codes, np.int8)
        for rows in (slice(3, 5), slice(6, 8)):
            order = np.argsort(codes[:, rows] == 0, axis=1, kind="stable")
            codes[:, rows] = np.take_along_axis(codes[:, rows], order, 1)
        return codes

    def layers(self, architecture) -> tuple[Layer, ...]:
        """The operators that run, in order."""
        choices = getattr(architecture, "choices", architecture)
        size, cin, last = self.size, 32, "stem"
        chain = [Conv(self.channels, 32, size, 3, act="relu", name="stem")]
        for place, choice in enumerate(choices):
            stage = (0, 0, 1, 1, 1, 2, 2, 2)[place]
            cout, stride = 64 << stage, 2 if place in (0, 2, 5) else 1
            name = f"stage{stage + 1}.{place + 1}"
            if choice:
                kernel, mid = ((3, 3 * cin), (5, 6 * cin))[choice - 1]
                chain.append(MBConv(cin, cout, size, kernel, stride, mid=mid, act="relu", name=name,
                                   residual=stride == 1 and cin == cout, inputs=(last,)))  # fmt: skip
            elif stride == 2:
                chain.append(Conv(cin, cout, size, 1, 2, name=name, inputs=(last,)))
            else:
                continue
            last, cin, size = name, cout, chain[-1].size_out
        return (*chain, Conv(cin, 1280, size, 1, act="relu", name="head", inputs=(last,)),
                GlobalPool(1280, 1280, size, name="pool", inputs=("head",)),
                Linear(1280, 10, 1, name="classifier", inputs=("pool",)))  # fmt: skip


def published(name: str) -> pd.DataFrame:
    """arch, accuracy, macs, params of the networks that are judged here."""
    if name == "nasbench201":
        table = pd.read_csv(REFERENCE / name / "nb201_train.csv.gz")
        columns = ["arch", "cifar10_test_acc_12ep", "macs_m", "params_m"]
    else:
        table = pd.read_csv(REFERENCE / name / "nb_macro_train.csv", dtype={"arch": str})
        table = table.drop_duplicates("mean_acc")
        columns = ["arch", "mean_acc", "flops", "params"]
    chosen = table.iloc[np.random.default_rng(43).permutation(len(table))[:NETWORKS]][columns]
    return chosen.set_axis(["arch", "accuracy", "macs", "params"], axis=1)


def space_and_codes(name: str, archs: list[str]):
    """A space whose networks have the shape of fashion-mnist, and the networks."""
    from explorer.spaces import SPACES

    if name == "nasbench_macro":
        return MacroSpace(channels=1), np.array([[int(c) for c in arch] for arch in archs], np.int8)
    space = SPACES[name].scaled(*PROXIES[name]).for_images(1, 10, 28)
    return space, np.array([space.from_string(arch).choices for arch in archs], np.int8)


def scores(out: Path, spaces: list[str]) -> None:
    """Fill the table."""
    from explorer.data.datasets import load_dataset
    from explorer.evaluators.zero_cost import SCORES

    images = load_dataset("fashion-mnist")
    done = {(row["space"], row["rung"]) for row in rows_of(out)}
    for name in spaces:
        table = published(name)
        space, codes = space_and_codes(name, list(table["arch"]))
        for rung in [*SCORES, *OWN[name]]:
            if (name, rung) in done:
                continue
            for own, values, each in score_by(rung, space, images, codes):
                for row, value in zip(table.itertuples(), values):
                    append(out, {"space": name, "arch": row.arch, "macs": row.macs, "params": row.params,
                                 "published": row.accuracy, "rung": own, "score": f"{value:.6g}",
                                 "seconds": f"{each:.3f}"})  # fmt: skip
                print(name, own, f"{each:.2f} s a network", flush=True)


def report(out: Path) -> dict:
    """space -> rung -> seconds a network, taus and their intervals."""
    from explorer.evaluators import agreement, mean_rank
    from explorer.evaluators.ladder import TOGETHER

    table, found = pd.read_csv(out), {}
    for name, own in table.groupby("space", sort=False):
        first = own[own["rung"] == own["rung"].iloc[0]]
        scores = {"MACs": first["macs"].to_numpy(), "parameters": first["params"].to_numpy()}
        scores |= {rung: rows["score"].to_numpy() for rung, rows in own.groupby("rung", sort=False)}
        pairs = [names for names in TOGETHER if set(names) <= set(scores)]
        scores |= {" + ".join(names): mean_rank(*(scores[n] for n in names)) for names in pairs}
        taus = agreement(scores, first["published"].to_numpy(), first["macs"].to_numpy())
        taus.insert(0, "seconds", own.groupby("rung")["seconds"].first())
        found[name] = taus.fillna(0.0).round(4).to_dict("index")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("--report", action="store_true")
    parser.add_argument("--spaces", nargs="+", choices=list(PROXIES), default=list(PROXIES))
    given = parser.parse_args()
    if given.report:
        print(json.dumps(report(given.table), indent=1))
    else:
        scores(given.table, given.spaces)
