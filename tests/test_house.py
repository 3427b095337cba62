"""The house: rooms and nothing loose, mapped in CONTRIBUTING; files that can be read; types that say something."""

import ast
import re
from pathlib import Path

import explorer
from tests.conftest import ROOT

PACKAGE = Path(explorer.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))


def rooms():
    return sorted(path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))


def test_nothing_is_loose():
    loose = sorted(path.name for path in PACKAGE.iterdir() if path.is_file() and path.suffix != ".pyc")
    assert loose == ["__init__.py", "__main__.py", "testing.py"]
    assert len(rooms()) <= 18, "seventeen rooms and recipes/"


def test_contributing_maps_every_room():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    mapped = re.findall(r"^\| `(\w+)/` \|", text, re.M)
    assert sorted(mapped) == rooms()
    for room, files in re.findall(r"^\| `(\w+)/` \|.*\| (.*) \|$", text, re.M):
        for name in re.findall(r"`([\w.]+)`", files):
            assert (PACKAGE / room / name).is_file(), f"{room}/{name}"


def test_tests_mirror_the_rooms():
    here = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert set(rooms()) - {"recipes"} <= here


def test_files_can_be_read():
    lengths = {path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines()) for path in SOURCES}
    assert max(lengths.values()) <= 400, max(lengths, key=lengths.get)
    assert lengths["study/study.py"] <= 260


def annotations():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                given += [a for a in (node.args.vararg, node.args.kwarg) if a]
                yield from (a.annotation for a in given if a.annotation is not None)
                if node.returns is not None:
                    yield node.returns
            elif isinstance(node, ast.AnnAssign):
                yield node.annotation


def test_types_say_something():
    found = list(annotations())
    bare = sum(isinstance(a, ast.Name) and a.id == "Any" for a in found)
    assert bare <= 0.03 * len(found), f"{bare} of {len(found)} annotations are a bare Any"
    settings = (ROOT / "pyproject.toml").read_text()
    assert "ignore_errors" not in settings, "mypy checks every line"


def test_only_devices_look_at_units():
    for path in SOURCES:
        if "devices" not in path.parts:
            assert not re.search(r"unit\s*[!=]=|==\s*\w+\.unit", path.read_text()), path


def test_docstrings_are_true():
    """Every example in a docstring gives what it says."""
    import doctest
    import importlib

    tried = 0
    for path in SOURCES:
        text = path.read_text()
        if ">>>" not in text:
            continue
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
        assert results.failed == 0, name
        tried += results.attempted
    assert tried >= 5


def test_the_docs_have_a_page_for_every_room():
    settings = (ROOT / "mkdocs.yml").read_text()
    pages = re.findall(r": ([\w/-]+\.md)$", settings, re.M)
    assert len(pages) > 20
    for page in pages:
        assert (ROOT / "docs" / page).is_file(), page
    for room in set(rooms()) - {"recipes", "cli"}:
        assert f"reference/{room}.md" in pages
        assert f"::: explorer.{room}" in (ROOT / "docs" / "reference" / f"{room}.md").read_text()
    verbs = set(re.findall(r"`explorer ([\w-]+)", (ROOT / "docs" / "reference" / "commands.md").read_text()))
    from typer.main import get_command

    from explorer.cli.main import app

    known = set(get_command(app).commands)
    assert verbs <= known
    missing = (
        known - verbs - {"devices", "boards", "spaces", "generators", "lab", "doctor"}
    )  # named in a row of several
    assert not missing, missing
