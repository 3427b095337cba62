"""Boards bound RAM and flash; what nothing fits says so in bytes."""

import json

import pytest

from explorer.cli import run
from explorer.devices.boards import BOARDS, Board, lacking


def test_a_network_gets_what_is_left_of_a_board():
    assert len(BOARDS) >= 5
    for board in BOARDS.values():
        assert 0 < board.budget["ram_kb"] < board.ram_kb
        assert 0 < board.budget["flash_kb"] < board.flash_kb
        assert board.source
        assert board.mhz > 0
    assert lacking(BOARDS["pico"], {"ram_kb": 216.0, "flash_kb": 1920.0}) == ""


def test_a_board_sets_both_budgets(capsys):
    """On a study that has neither; photographs of 96 px and more need much of a board's RAM."""
    assert run(["generate", "clothing", "--board", "pico", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["feasible"]
    assert found["costs"]["ram_kb"] <= 216
    assert found["costs"]["flash_kb"] <= 1920
    assert run(["generate", "digits", "--budget", "ram_kb=3", "--budget", "mobile=0.2", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["costs"]["ram_kb"] <= 3


def test_accuracy_and_memory_are_of_different_precisions_and_it_is_said(capsys):
    assert run(["generate", "digits", "--budget", "ram_kb=3"]) == 0
    assert "ram_kb, flash_kb: of the network in eight bits; the accuracy is in float32" in capsys.readouterr().out
    assert run(["generate", "clothing", "--budget", "mobile=5"]) == 0
    assert "eight bits" not in capsys.readouterr().out


def test_every_command_that_takes_a_budget_takes_kilobytes(tmp_path, capsys):
    """As docs/devices.md says."""
    out = str(tmp_path / "net")
    assert run(["export", "digits", "--budget", "ram_kb=3", "--out", out, "--format", "tflite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["formats"]["tflite"]["arena_bytes"] <= 3 * 1024
    assert run(["search", "digits", "--device", "ram_kb", "--evaluations", "200", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["front"][0]["costs"]["ram_kb"] > 0


def test_a_board_that_nothing_fits_lacks_bytes(capsys, monkeypatch):
    tiny = Board("tiny", "Tiny board", "none", 16, 64, 512, "made up")
    monkeypatch.setitem(BOARDS._entries, "tiny", tiny)
    assert run(["generate", "clothing", "--board", "tiny"]) == 2
    said = capsys.readouterr().err
    assert "the nearest reachable network has ram_kb" in said
    assert "Tiny board (16 kB of RAM and 384 kB of flash for a network) lacks " in said
    assert "bytes of RAM" in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize(("words", "said"), [
    (["--board", "abacus"], "unknown board 'abacus'; choose from: nano-33-ble, pico"),
    (["--board", "pico", "--budget", "ram_kb=3"], "device 'ram_kb' has two budgets"),
])  # fmt: skip
def test_wrong_boards_are_refused(words, said, capsys):
    assert run(["generate", "digits", *words]) == 2
    assert said in capsys.readouterr().err


def test_boards_are_listed(capsys):
    assert run(["boards", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["board"] for row in rows} == set(BOARDS)
