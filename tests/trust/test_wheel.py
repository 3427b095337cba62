"""What is installed from a wheel does all that a checkout does, anywhere."""

import json
import os
import subprocess
import sys
import zipfile

import pytest

from tests.conftest import ROOT

MAIN = "from explorer.cli import main; main()"


@pytest.fixture
def installed(other_python, tmp_path):
    """Run the command as installed from a wheel, in a folder that is no checkout."""
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    out = tmp_path / "wheels"
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)], cwd=ROOT, check=True,
                   capture_output=True)  # fmt: skip
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        assert not [name for name in wheel.namelist() if name.startswith(("tests", "docs"))]
        wheel.extractall(other_python.packages)
    here = tmp_path / "elsewhere"
    here.mkdir()
    clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"EXPLORER_HOME": str(tmp_path / "home")}

    def run(*arguments, code=MAIN):
        line = [other_python.python, "-c", code, *map(str, arguments)]
        done = subprocess.run(line, cwd=here, env=clean, capture_output=True, text=True, timeout=580)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(other_python.packages) in run(code="import explorer; print(explorer.__file__)")
    return run


def test_a_wheel_holds_studies_devices_recipes_and_the_page(installed):
    for name in ("digits", "clothing", "fashion-mnist", "fashion-mnist-unified", "imagenet-mobilenetv3"):
        low = "import sys, explorer as ex; s = ex.open_study(sys.argv[1]); t = s.targets[0]; print(t, s.knee(t))"
        target, knee = installed(name, code=low).split()
        found = json.loads(installed("generate", name, "--budget", f"{target}={knee}", "--json"))
        assert found["feasible"], found
    page = "from explorer.page.serve import address, page_folder; print(*sorted(p.name for p in page_folder(address()).iterdir()))"
    assert "explorer.ipynb" in installed(code=page)


@pytest.mark.long
def test_the_demo_runs_from_a_wheel(installed):
    found = json.loads(installed("demo", "--no-serve", "--json"))
    assert len(found["candidates"]) == 9
    assert all(c["feasible"] for c in found["candidates"])
