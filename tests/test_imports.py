"""What loads torch, and that imports go down the storeys."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

HEAVY = ("torch", "torchvision", "lightning_fabric", "pymoo", "sklearn", "numba")
LIGHT = {
    "import": "import explorer",
    "generate": "import explorer as ex; s = ex.open_study('digits'); s.generate({'mobile': 0.15}); s.front('cpu')",
    "page": "from explorer.widgets import Dashboard; Dashboard('digits')",
    "command": "from explorer.cli import run; run(['generate', 'digits', '--budget', 'mobile=0.15'])",
    "export module": "import explorer.exports, explorer.devices.measure, explorer.testing",
}


@pytest.mark.parametrize("what", list(LIGHT))
def test_loads_no_torch(what):
    check = f"{LIGHT[what]}\nimport sys\nprint([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_imports_go_down_the_storeys():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports")], capture_output=True, text=True, timeout=120,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]


def test_without_torch_the_extra_is_named():
    block = (
        "import sys, importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        "import explorer as ex\n"
        "for ask in (lambda: ex.train, lambda: ex.open_study('digits').supernet, lambda: ex.load_dataset):\n"
        "    try:\n        ask()\n        print('no error')\n"
        "    except ex.InputError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=120)
    assert done.stdout.count("pip install 'pareto-explorer[train]'") == 3, done.stdout + done.stderr


def test_the_public_names_exist():
    import explorer
    import explorer.exports
    import explorer.searches

    for name in explorer.__all__:
        assert not isinstance(getattr(explorer, name), ModuleType) or name == "__version__", name
    assert callable(explorer.search)
    assert callable(explorer.export)
