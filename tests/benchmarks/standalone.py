"""Do inherited weights rank networks as training alone does?

    python -m tests.benchmarks.standalone fashion-mnist docs/standalone.csv [EPOCHS]

Trains networks of a study alone, all on one short schedule, and compares their validation accuracy with the inherited one.
Two processes with one thread each; rows are appended, so a stopped run goes on.
"""

import csv
import os
import sys
from pathlib import Path

import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.front import kendall_tau
from explorer.core.parallel import map_in_workers
from explorer.study import open_study

NETWORKS, EPOCHS = 20, 4


def chosen(study):
    """Sampled networks spread evenly over the range of MACs."""
    table = study.evaluations.query("source == 'sample'").sort_values("macs_m")
    return table.iloc[np.linspace(0, len(table) - 1, NETWORKS).round().astype(int)]


def train_one(key: str, judge) -> float:
    """Validation accuracy of one network trained alone."""
    return float(judge.evaluate([Architecture.from_key(judge.space, key).choices])[0])


def main(name: str, out: Path, epochs: int = EPOCHS) -> None:
    """Fill the table and print Kendall's tau."""
    os.environ |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    from explorer.evaluators import TrainedAlone
    from explorer.supernets import TrainConfig

    study = open_study(name)
    rows = chosen(study)
    config = TrainConfig(epochs=epochs, batch=128, lr=0.1, flip=True, shift=2, label_smoothing=0.1)
    judge = TrainedAlone(study.space, study.images, config)
    done = {r["key"]: float(r["alone"]) for r in csv.DictReader(out.open())} if out.exists() else {}
    todo = [key for key in rows["key"] if key not in done]

    def write() -> None:
        with out.open("w") as file:
            file.write("key,macs_m,inherited,alone\n")
            for r in rows.itertuples():
                if r.key in done:
                    file.write(f"{r.key},{r.macs_m:.4f},{r.accuracy:.4f},{done[r.key]:.4f}\n")

    for key, value in zip(todo, map_in_workers(train_one, todo, judge, jobs=2)):
        done[key] = value
        print(key, f"{value:.4f}", flush=True)
        write()
    write()
    alone = np.array([done[key] for key in rows["key"]])
    inherited = rows["accuracy"].to_numpy()
    print(f"{len(alone)} networks, {epochs} epochs: tau = {kendall_tau(alone, inherited):.3f}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:]))
