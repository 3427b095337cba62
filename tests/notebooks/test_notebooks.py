import json

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from explorer.core.files import data_folder

NOTEBOOKS = sorted(data_folder("notebooks").glob("*.ipynb"))


LONG = ("02_supernet", "04_search", "06_random_weights", "07_granularity")  # minutes; their cells write no files


def run_cells(path, orders):
    """Run the cells of a notebook in one kernel, in the given orders of their indices, one after the other."""
    notebook = nbformat.read(path, as_version=4)
    code = [i for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    client = NotebookClient(notebook, timeout=300, kernel_name="python3")
    with client.setup_kernel():
        for order in orders(code):
            for i in order:
                client.execute_cell(notebook.cells[i], i)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_from_top_to_bottom_and_back(path, monkeypatch):
    """A reader goes back and runs a cell again: no cell may need what a later one changed, or a folder that is empty."""
    monkeypatch.setenv("EXPLORER_STUDY", "digits")
    run_cells(path, lambda code: [code] if path.stem in LONG else [code, code[::-1]])


@pytest.mark.long
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_runs_twice_and_in_other_orders(path, monkeypatch):
    monkeypatch.setenv("EXPLORER_STUDY", "digits")
    shuffled = np.random.default_rng(0)
    run_cells(path, lambda code: [code, code, code[::-1], shuffled.permutation(code).tolist()])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_it_holds_no_outputs_and_defines_nothing(path):
    notebook = json.loads(path.read_text())
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        assert not cell.get("outputs")
        assert not any(line.startswith("def ") for line in cell["source"])
