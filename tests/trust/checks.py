"""Runs the tests that inject faults, and notes in the table how many there were and what became of them.

    EXPLORER_FUZZ=1000 python -m tests.trust.checks inputs hostile disks workers page studies --out docs/reliability.json

Every kind is a set of test files; a test that fails is a fault that was not survived. Skipped tests are named.
"""

import argparse
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.trust.reliability import TRIED, note


@dataclass(frozen=True)
class Kind:
    """What is run, and what the row calls it.

    Attributes:
        what: was done.
        files: of tests, or single tests.
        counted: name in `TRIED` of what was tried; "" counts tests.
        good: what it means that all of them passed.
        marks: which of the tests.
    """

    what: str
    files: tuple[str, ...]
    counted: str
    good: str
    marks: str = "not long"


KINDS = {
    "inputs": Kind("bent files, odd values, keys, budgets, addresses", ("tests/trust/test_fuzz.py",), "inputs",
                   "0 crashed, 0 hung (5 s each), every refusal one line"),
    "hostile": Kind(
        "input made to do harm: links and paths that leave, bombs, claims of gigabytes, scripts in names, ONNX that reads files",
        ("tests/trust/test_hostile.py", "tests/trust/test_bent.py", "tests/data/test_own_images.py", "tests/devices/test_formats.py::test_bad_lookup_tables_are_refused"),
        "", "0 files outside, 0 scripts run, refused within seconds",
    ),
    "disks": Kind("full and read-only disks under training, search, export, pruning", ("tests/trust/test_disk.py",), "disks",
                  "one plain line each, old files whole, the training went on when there was room"),
    "workers": Kind(
        "killed workers: joblib processes, Dask, torchrun; two processes on one study",
        ("tests/trust/test_workers.py", "tests/supernets/test_processes.py",
         "tests/study/test_train.py::test_a_second_process_is_told"),
        "workers", "0 results lost, the second process told",
    ),
    "page": Kind("requests to the served page for what it must not give, with no or a wrong token", ("tests/trust/test_served.py",),
                 "requests", "0 gave a source, a traceback or a file of others; works below a path of nginx"),
    "studies": Kind("shipped studies: figures of their cards measured again; recipes run twice on a reduced schedule",
                    ("tests/trust/test_true.py",), "", "cards are true, the same seed gives the same files", ""),
}  # fmt: skip


@dataclass(eq=False)  # pytest keeps plugins in sets
class Outcomes:
    """A pytest plugin that counts."""

    passed: int = 0
    failed: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report) -> None:
        """One phase of one test."""
        if report.failed:
            self.failed.append(report.nodeid)
        elif report.skipped:
            self.skipped.append(report.nodeid.split("::")[-1])
        elif report.when == "call":
            self.passed += 1


def main(names: list[str], out: Path | None) -> bool:
    """Run kinds of checks; whether all was survived."""
    good = True
    for name in names:
        kind, found = KINDS[name], Outcomes()
        TRIED.clear()
        ended = pytest.main(["-q", "-p", "no:cacheprovider", "-m", kind.marks, *kind.files], plugins=[found])
        if ended != pytest.ExitCode.OK and not found.failed:
            found.failed.append(f"pytest ended with {ended!s}")  # such as an error of its own, before the last test
        tried = TRIED[kind.counted] if kind.counted else found.passed + len(found.failed)
        good &= not found.failed and found.passed > 0
        detail = (
            f"{kind.good}; {found.passed} tests passed" if not found.failed else f"failed: {', '.join(found.failed)}"
        )
        detail += f"; skipped: {', '.join(found.skipped)}" if found.skipped else ""
        print(name, tried, detail, flush=True)
        if out is not None:
            fuzz = os.environ.get("EXPLORER_FUZZ") if name == "inputs" else None
            command = f"{f'EXPLORER_FUZZ={fuzz} ' if fuzz else ''}python -m tests.trust.checks {name}"
            note(out, f"check/{name}", kind.what, tried=tried, bad=len(found.failed), detail=detail, command=command)
    return good


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=list(KINDS))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sys.exit(0 if main(given.names, given.out) else 1)
