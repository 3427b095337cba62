import json

import nbformat
import pytest
from nbclient import NotebookClient

from explorer.core.files import data_folder

NOTEBOOKS = sorted(data_folder("notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_from_top_to_bottom(path, monkeypatch):
    monkeypatch.setenv("EXPLORER_STUDY", "digits")
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_holds_no_outputs_and_defines_nothing(path):
    notebook = json.loads(path.read_text())
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert not any(line.startswith("def ") for line in cell["source"])
