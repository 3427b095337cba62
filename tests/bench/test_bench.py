"""The command and its comparison; speed itself is not a test."""

import json
from pathlib import Path

import pytest

from explorer.bench import PARTS, WORSE, regressions, rows, run
from explorer.bench.timing import growth, in_turns, slope
from explorer.cli import run as command
from explorer.core.errors import InputError

COMMITTED = Path(__file__).parents[2] / "docs" / "bench.json"


def test_slopes_and_turns():
    assert slope([1, 10, 100], [5, 20, 200]) == pytest.approx(1)
    assert slope([1, 2], [3, 12]) == pytest.approx(2)
    assert growth(lambda n: 2.0 * n**2, [1, 2, 4, 8])[0] == pytest.approx(2)
    order = []
    seconds = in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b"] * 4  # one turn that does not count
    assert set(seconds) == {"a", "b"}


def test_a_part_gives_ratios_slopes_and_times(capsys, tmp_path):
    out = tmp_path / "bench.json"
    assert command(["bench", "--quick", "--part", "costs", "--json", "--out", str(out)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == found
    assert list(found["parts"]) == ["costs"]
    costs = found["parts"]["costs"]
    assert 0 < costs["ratios"]["macs_m: compiled over layer by layer"] < 0.1
    assert {"with architectures", "with layers", "with choices"} == set(costs["slopes"])
    assert found["machine"]["cores"] >= 1
    assert command(["bench", "--quick", "--part", "costs", "--against", str(out)]) in (0, 1)  # machines are noisy
    assert "microseconds a network" in capsys.readouterr().out


def test_a_ratio_that_got_worse_is_named():
    before = {"parts": {"costs": {"ratios": {"a": 1.0, "b": 2.0}}, "page": {"skipped": "no browser"}}}
    after = {"parts": {"costs": {"ratios": {"a": 1.0 + WORSE, "b": 2.1, "new": 9.0}}, "page": {"ratios": {"c": 5.0}}}}
    assert [line.split(":")[0] for line in regressions(after, before)] == ["costs / a"]
    for damaged in ({}, [], {"parts": {"costs": {"ratios": {"a": "x"}}}}):
        with pytest.raises(InputError, match="not a result of `explorer bench`"):
            regressions(after, damaged)


@pytest.mark.parametrize(("arguments", "said"), [
    (["--part", "training", "--part", "coffee"], "'coffee' is not known; expected one of training, scoring"),
    (["--part", "costs", "--out", "/nowhere/bench.json"], "'/nowhere/bench.json'"),
    (["--part", "costs", "--against", "/nowhere/bench.json"], "/nowhere/bench.json"),
])  # fmt: skip
def test_bad_arguments_end_before_anything_is_measured(arguments, said, capsys):
    assert command(["bench", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1


def test_what_cannot_be_measured_here_is_said(monkeypatch):
    monkeypatch.setattr("explorer.bench.browser.shutil.which", lambda name: None)
    found = run(["page"], quick=True)
    assert found["parts"]["page"] == {"skipped": "chromium or playwright is not installed"}
    assert rows(found) == [{"part": "page", "kind": "skipped", "what": found["parts"]["page"]["skipped"], "value": ""}]


def test_the_committed_run_has_every_part():
    found = json.loads(COMMITTED.read_text())
    assert set(found["parts"]) == set(PARTS)
    assert not found["quick"]
    for part, tables in found["parts"].items():
        assert all(value > 0 for value in tables["ratios"].values()), part
        assert tables["times"], part
