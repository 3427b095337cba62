"""What fine-tuning at export gains: test accuracy of the best and the smallest network of fashion-mnist, before and after.

    python -m tests.benchmarks.finetune docs/finetune.csv [--epochs 60] [--role smallest] [--seed 1]

Rows are appended, so a stopped run goes on.
"""

import argparse
import time
from pathlib import Path

from explorer.evaluators.shared_weights import accuracy
from explorer.study import open_study
from tests.benchmarks.ladder import append, rows_of

ROLES = ("best on validation", "smallest")


def main(out: Path, epochs: int, roles: list[str], seed: int) -> None:
    """Fill the table."""
    from explorer.cli.terminal import progress
    from explorer.exports.tuning import fine_tuned

    study = open_study("fashion-mnist")
    reported = {r.role: r for r in study.manifest.reported}
    for role in roles:
        if any((r["role"], r["seed"], r["epochs"]) == (role, str(seed), str(epochs)) for r in rows_of(out)):
            continue
        start = time.perf_counter()
        network = study.network(study.architecture(reported[role].key))
        network, tuning = fine_tuned(study, network, epochs, progress, seed)
        append(out, {
            "role": role, "key": reported[role].key, "seed": seed, "epochs": epochs,
            "before": f"{reported[role].test:.4f}", "after": f"{accuracy(network, study.images.test):.4f}",
            "val_before": f"{tuning['val_before']:.4f}", "val_after": f"{tuning['val_after']:.4f}",
            "seconds": f"{time.perf_counter() - start:.0f}",
        })  # fmt: skip
        print(rows_of(out)[-1], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--role", choices=ROLES, action="append", help="both unless given")
    parser.add_argument("--seed", type=int, default=0, help="of batches and augmentation")
    given = parser.parse_args()
    main(given.out, given.epochs, given.role or list(ROLES), given.seed)
