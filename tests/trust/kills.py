"""Killed at random moments: whatever was going on, it goes on to the same files.

    python -m tests.trust.kills --kills 50 --seed 20261127 [--out docs/reliability.json]

Four kinds of work, each a process of its own that is killed (SIGKILL) at a random moment, started again, killed again: a training of
all stages (supernet, scores, predictor, fronts, generators), a search, a pruning, an export. After every kill, whatever carries a
final name must be what an uninterrupted run writes; at the end all files must be equal.
"""

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import QUICK
from tests.trust.reliability import note

SEARCH = """
import sys
from pathlib import Path
from explorer.study import open_study
out = Path(sys.argv[1])
out.mkdir(exist_ok=True)
study = open_study("fashion-mnist")
front = study.search("nsga2", devices=["mobile"], evaluations=120_000, seed=1, file=out / "search.npz")
from explorer.core.files import write_text
write_text(out / "front.txt", repr([(c.key, c.accuracy, c.costs) for c in front]))
"""
PRUNE = """
import sys
from explorer.study.prune import FamilyConfig, prune
from explorer.pruning import PruneConfig
from explorer.supernets import TrainConfig
search = PruneConfig(sizes=(1.0, 0.5, 0.3), warmup=3, rounds=1, steps=3, batch=32)
config = FamilyConfig(width=4, nodes=1, search=search, training=TrainConfig(batch=32, lr=0.05), steps=33)
prune("digits", sys.argv[1], target="30%", config=config, resume=True)
"""
EXPORT = """
import sys
from pathlib import Path
import explorer as ex
out = Path(sys.argv[1])
study = ex.open_study("digits")
if not any(out.glob("*")):  # else it was killed after all files were handed over
    ex.export(study, study.generate({"mobile": study.knee("mobile")}), out)
"""


def jobs(recipe: Path) -> dict[str, list[str]]:
    """Kind of work -> the command, which the folder follows."""
    python = [sys.executable, "-c"]
    train = "import sys; from explorer.cli import run; sys.exit(run(['train', %r, '--resume', '--out', sys.argv[1]]))"
    return {
        "training": [*python, train % str(recipe)], "search": [*python, SEARCH], "pruning": [*python, PRUNE],
        "export": [*python, EXPORT],
    }  # fmt: skip


def hashes(folder: Path) -> dict[str, str]:
    """Final name -> hash; what is still being written has another name."""
    found = {}
    for path in sorted(folder.rglob("*")) if folder.is_dir() else []:
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not any(part.startswith(".") for part in name.split("/")):
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def run_killed(kind: str, command: list[str], kills: int, draw: random.Random, root: Path) -> dict:
    """Kill a kind of work so many times; what was wrong."""
    for whole in (root / f"{kind}-first", root / f"{kind}-whole"):  # the first one also compiles
        start = time.monotonic()
        subprocess.run([*command, str(whole)], check=True, capture_output=True)
    seconds, expected = time.monotonic() - start, hashes(whole)
    out, done, finished, wrong = root / f"{kind}-0", 0, 0, []
    while done < kills:
        process = subprocess.Popen([*command, str(out)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            _, said = process.communicate(timeout=draw.uniform(0.15, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            done += 1
            wrong += _half_written(kind, hashes(out), expected)
            continue
        finished += 1
        wrong += _ended(kind, process.returncode, said, hashes(out), expected)
        out = root / f"{kind}-{finished}"
    last = subprocess.run([*command, str(out)], capture_output=True, text=True)
    wrong += _ended(kind, last.returncode, last.stderr, hashes(out), expected)
    return {"kills": kills, "runs finished": finished + 1, "seconds of a run": round(seconds, 1), "wrong": wrong}


def _half_written(kind: str, now: dict, expected: dict) -> list[str]:
    """Files with a final name that are not what the whole run wrote, but for those that grow."""
    growing = {"evaluations.csv", "checkpoint.safetensors", "search.npz"}
    if kind == "export":
        return [f"export: {sorted(now)} of {sorted(expected)}"] if now and set(now) != set(expected) else []
    return [f"{kind}: {n}" for n, h in now.items() if n not in growing and expected.get(n, h) != h]


def _ended(kind: str, code: int, said: str, now: dict, expected: dict) -> list[str]:
    if code:
        return [f"{kind} ended with {code}: {said[-200:]}"]
    if kind == "export":
        return [] if set(now) == set(expected) else [f"export left {sorted(now)}"]
    left = {n: h for n, h in now.items() if n != "search.npz"}
    whole = {n: h for n, h in expected.items() if n != "search.npz"}
    return [] if left == whole else [f"{kind}: other files than without a kill"]


def main(kills: int, seed: int, out: Path | None) -> list[dict]:
    """All kinds in turn; rows for the table."""
    draw, rows = random.Random(seed), []
    with tempfile.TemporaryDirectory(prefix="explorer-kills-") as scratch:
        recipe = Path(scratch) / "quick.toml"
        recipe.write_text(QUICK)
        every = jobs(recipe)
        shares = {kind: kills // len(every) + (i < kills % len(every)) for i, kind in enumerate(every)}
        for kind, command in every.items():
            row = {"what": f"SIGKILL during {kind}"} | run_killed(kind, command, shares[kind], draw, Path(scratch))
            rows.append(row)
            print(row, flush=True)
    if out is not None:
        for row in rows:
            note(out, f"kill/{row['what']}", row["what"], tried=row["kills"], bad=len(row["wrong"]),
                 detail=f"killed runs, started again, ended with the same files as one that was not killed: all {row['runs finished']}; seed {seed}",
                 command=f"python -m tests.trust.kills --kills {kills} --seed {seed}")  # fmt: skip
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if any(row["wrong"] for row in main(given.kills, given.seed, given.out)):
        sys.exit(1)
