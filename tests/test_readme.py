"""The README's first code block runs, on digits."""

import re
from pathlib import Path

from explorer.core.files import data_folder

README = Path(__file__).parent.parent / "README.md"


def test_the_first_code_block_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    block = re.search(r"```python\n(.*?)```", README.read_text(), re.S)[1]
    names = {}
    exec(compile(block, "README", "exec"), names)
    assert names["candidate"].feasible
    assert names["bundle"].files["onnx"].is_file()
    assert len(names["front"]) > 3


def test_every_file_that_it_names_is_there():
    for path in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        assert path.startswith("http") or (README.parent / path).exists(), path
    assert (data_folder("notebooks") / "explorer.ipynb").exists()
