"""Figures of README and docs are those of the committed tables."""

import shutil

import pytest

from tests.benchmarks import results, shown


@pytest.mark.parametrize("path", results.pages(), ids=lambda path: path.name)
def test_a_page_shows_its_tables(path):
    text = path.read_text()
    assert results.rendered(text) == text, "run `python -m tests.benchmarks.results`"


def test_every_block_stands_on_a_page():
    found = {name for path in results.pages() for _, name, _, _ in results.BLOCK.findall(path.read_text())}
    assert found == set(results.BLOCKS)


@pytest.mark.parametrize(("name", "before", "after", "block"), [
    ("pruning.csv", ",0.8799,", ",0.8899,", "pruning"), ("five.csv", ",0.9", ",0.8", "five"),
    ("budgets.json", '"met": 1.0', '"met": 0.9', "readme"), ("few.csv", ",0.8979,", ",0.7979,", "few"),
])  # fmt: skip
def test_a_changed_table_shows(name, before, after, block, tmp_path, monkeypatch):
    text = f"<!-- results: {block} -->\n{results.BLOCKS[block]().strip()}\n<!-- /results -->"
    assert any(text in path.read_text() for path in results.pages())
    docs = tmp_path / "docs"
    shutil.copytree(shown.DOCS, docs)
    table = (docs / name).read_text()
    assert before in table
    (docs / name).write_text(table.replace(before, after, 1))
    monkeypatch.setattr(shown, "DOCS", docs)
    assert results.rendered(text) != text
