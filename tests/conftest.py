"""Shared things of the tests: where data are, and a digits study trained once."""

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = Path(os.environ.get("EXPLORER_REFERENCE", ROOT.parent / "shared" / "data"))


@pytest.fixture(autouse=True, scope="session")
def own_home(tmp_path_factory):
    """Nothing of a test lands in the user's own folder."""
    os.environ["EXPLORER_HOME"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def reference():
    """Outside data in `$EXPLORER_REFERENCE`, else beside the checkout."""

    def find(name: str) -> Path:
        path = REFERENCE / name
        if not path.exists():
            pytest.skip(f"reference data {name} is not on this machine (EXPLORER_REFERENCE={REFERENCE})")
        return path

    return find


@pytest.fixture(scope="session")
def digits_study():
    """The shipped digits study."""
    from explorer.study import open_study

    return open_study(ROOT / "data" / "studies" / "digits")


@pytest.fixture(scope="session")
def fashion_study():
    """The shipped fashion-mnist study."""
    from explorer.study import open_study

    return open_study(ROOT / "data" / "studies" / "fashion-mnist")


QUICK = """
title = "Quick"
data = "digits"
space = "mobile-tiny"
[supernet]
epochs = 3
batch = 64
lr = 0.1
checkpoint_steps = 10
[scores]
architectures = 40
calibration_images = 200
front_architectures = 15
[predictor]
epochs = 20
members = 2
[search]
evaluations = 1000
[expert]
budgets = 256
rounds = 20
width = 128
entry = 64

[pnag]
iterations = 20
ranker_steps = 20
evaluations = 400
requests = 16
draws = 8
"""


@pytest.fixture(scope="session")
def quick_recipe(tmp_path_factory):
    """A recipe of a few seconds."""
    path = tmp_path_factory.mktemp("recipe") / "quick.toml"
    path.write_text(QUICK)
    return path


@pytest.fixture(scope="session")
def quick_study(quick_recipe, tmp_path_factory):
    """A study trained here, by that recipe."""
    import explorer

    return explorer.train(quick_recipe, tmp_path_factory.mktemp("study") / "quick")


@pytest.fixture(scope="session")
def command():
    """Run the `explorer` command; gives the finished process."""

    def run(*arguments, **named):
        line = [sys.executable, "-c", "from explorer.cli import main; main()", *map(str, arguments)]
        return subprocess.run(line, capture_output=True, text=True, timeout=300, **named)

    return run


@dataclass(frozen=True)
class OtherPython:
    """An interpreter and the folder of its packages."""

    python: str
    packages: Path


@pytest.fixture
def other_python(tmp_path):
    """A fresh environment that sees the installed packages, but not this one."""
    where = tmp_path / "venv"
    venv.create(where, with_pip=False, symlinks=True)
    site = next(where.glob("lib/python*/site-packages"))
    linked = where / "linked"  # torch is not downloaded again
    linked.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if not entry.name.startswith(("__editable__", "explorer", "pareto_explorer")) and entry.suffix != ".pth":
            (linked / entry.name).symlink_to(entry)
    (site / "linked.pth").write_text(str(linked))
    return OtherPython(str(where / "bin" / "python"), linked)
