"""What fine-tuning at export gains: test accuracy of the best and the smallest network of fashion-mnist, before and after.

    python -m tests.benchmarks.finetune docs/finetune.csv [--epochs 60] [--role smallest]

Rows are appended, so a stopped run goes on.
"""

import argparse
import time
from pathlib import Path

from explorer.evaluators.shared_weights import accuracy
from explorer.study import open_study
from tests.benchmarks.ladder import append, rows_of

ROLES = ("best on validation", "smallest")


def main(out: Path, epochs: int, roles: list[str]) -> None:
    """Fill the table."""
    from explorer.export.original import original_of
    from explorer.terminal import progress

    study = open_study("fashion-mnist")
    reported = {r.role: r for r in study.manifest.reported}
    for role in roles:
        if any((r["role"], r["epochs"]) == (role, str(epochs)) for r in rows_of(out)):
            continue
        start = time.perf_counter()
        candidate = study.candidate(study.architecture(reported[role].key))
        tuned = original_of(study, candidate, fine_tune=epochs, progress=progress)
        append(out, {
            "role": role, "key": reported[role].key, "seed": study.manifest.seed, "epochs": epochs,
            "before": f"{reported[role].test:.4f}", "after": f"{accuracy(tuned.network, study.images.test):.4f}",
            "val_before": f"{tuned.tuning['val_before']:.4f}", "val_after": f"{tuned.tuning['val_after']:.4f}",
            "seconds": f"{time.perf_counter() - start:.0f}",
        })  # fmt: skip
        print(rows_of(out)[-1], flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--role", choices=ROLES, action="append", help="both unless given")
    given = parser.parse_args()
    main(given.out, given.epochs, given.role or list(ROLES))
