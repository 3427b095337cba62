"""The table of docs/reliability.md: rows are noted by the scripts that measured them.

python -m tests.trust.reliability docs/reliability.json docs/reliability.md
"""

import sys
from collections import Counter
from pathlib import Path

from explorer.core.files import read_json, write_json, write_text

TRIED: Counter = Counter()  # what tests count while they run: faults and inputs

HEAD = """# Reliability

Written by the scripts in the last column, which make every row again.

| what was done | tried | bad | | day | command |
|---|---|---|---|---|---|
"""


def note(out: Path, key: str, what: str, *, tried: int, bad: int, detail: str, command: str) -> None:
    """Add a row, or put a new one in its place, and write the page beside it."""
    import datetime

    rows = read_json(out) if out.exists() else {}
    rows[key] = {"what": what, "tried": tried, "bad": bad, "detail": detail, "command": command,
                 "day": datetime.date.today().isoformat()}  # fmt: skip
    write_json(out, dict(sorted(rows.items())))
    render(out, out.with_suffix(".md"))


def render(rows: Path, page: Path) -> None:
    """The table as markdown."""
    lines = [
        f"| {r['what']} | {r['tried']:,} | {r['bad']} | {r['detail']} | {r['day']} | `{r['command']}` |"
        for r in read_json(rows).values()
    ]
    write_text(page, HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    render(Path(sys.argv[1]), Path(sys.argv[2]))
