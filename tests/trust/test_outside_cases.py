"""Situations from public bug reports of comparable tools, that broke here; the reports stand beside them."""

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

import explorer
from explorer.cli.main import run
from explorer.core.errors import InputError
from explorer.core.files import check_writable, write_text
from explorer.devices import load_device
from explorer.study import open_study

EXPLORER = [sys.executable, "-m", "explorer"]
TABLE = "op,cin,cout,size,kernel,stride,mid,act,latency_ms\nconv,1,8,8,3,1,,relu,1\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "blocks.csv"
    path.write_text(TABLE)
    return path


def stopped(tmp_path, recipe, data):
    """A training that was stopped while it scored."""
    stages = []

    def progress(items, total, what):
        stages.append(what)
        for i, item in enumerate(items):
            if what == "scoring" and i == 3:
                raise KeyboardInterrupt
            yield item

    with contextlib.suppress(KeyboardInterrupt):
        explorer.train(recipe, tmp_path / "out", data=data, progress=progress)
    assert "scoring" in stages
    assert not (tmp_path / "out" / "study.json").exists()


def test_images_that_change_before_a_training_is_resumed(tmp_path, quick_recipe):
    """OpenTau#502: the split moves, and what was trained on is tested on."""
    from tests.data.test_datasets import _folder

    folder = _folder(tmp_path / "images", count=40)
    stopped(tmp_path, quick_recipe, f"folder:{folder}")
    for i in range(3):
        (folder / "dog" / f"more-{i}.png").write_bytes((folder / "dog" / f"{i}.png").read_bytes())
    with pytest.raises(InputError, match="images of .* have changed since the run in .* began"):
        explorer.train(quick_recipe, tmp_path / "out", data=f"folder:{folder}", resume=True)
    for i in range(3):
        (folder / "dog" / f"more-{i}.png").unlink()
    study = explorer.train(quick_recipe, tmp_path / "out", data=f"folder:{folder}", resume=True)
    assert not (study.folder / ".images").exists()


def test_a_device_that_changes_before_a_training_is_resumed(tmp_path, quick_recipe):
    """pypsa-eur#953: what is copied at the start and what runs later must agree."""
    about = {"format": 1, "kind": "layers", "name": "mine", "unit": "ms", "provenance": {"kind": "modelled"}}
    device = tmp_path / "mine.json"
    device.write_text(json.dumps(about | {"weights": {"1x1 macs": 1e-6, "dw": 1e-3}}))
    text = quick_recipe.read_text().replace("[supernet]", 'devices = ["mine.json", "macs_m"]\n[supernet]', 1)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(text)
    with contextlib.chdir(tmp_path):
        stopped(tmp_path, recipe, "digits")
    assert f'"{device}"' in (tmp_path / "out" / "recipe.toml").read_text(), "resumed from any working directory"
    device.write_text(json.dumps(about | {"weights": {"1x1 macs": 3e-6, "dw": 3e-3}}))
    with contextlib.chdir(tmp_path), pytest.raises(InputError, match="device 'mine' has changed since the run"):
        explorer.train(recipe, tmp_path / "out", data="digits", resume=True)


def test_small_costs_keep_their_digits(tmp_path, digits_study):
    """pandas#13159: six decimals turn joules into zeros."""
    from dataclasses import replace

    from explorer.study.write import write_searched

    front = replace(digits_study.search(devices=["mobile"], evaluations=100), devices=("chip",))
    front = replace(front, costs=front.costs * 1e-7)
    write_searched(tmp_path, front, digits_study.scored)
    written = [float(line.split(",")[-1]) for line in (tmp_path / "searched-chip.csv").read_text().splitlines()[1:]]
    assert written == pytest.approx(front.costs[:, 0], rel=1e-8)


@pytest.mark.parametrize("text", ["12_9588", "１２", "0x1", "inf", "nan", "1,5,6"])
def test_what_only_python_takes_for_a_number(text, table, capsys):
    """dust#2987: an underscore instead of a point makes 12.9588 ms 129,588 ms."""
    from explorer.devices import read_blocks

    table.write_text(TABLE.replace(",1\n", f',"{text}"\n'))
    with pytest.raises(InputError, match="line 2"):
        read_blocks(table)
    assert run(["generate", "digits", "--budget", f"mobile={text}"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_links_pipes_and_devices_stay_what_they_are(tmp_path):
    """bazel#31038, terminal#10908: a file that is written must not replace a link, a pipe or /dev/null."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "shared" / "real.json")
    write_text(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "shared" / "real.json").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True) as reader:
        write_text(tmp_path / "pipe", "through")
        assert reader.communicate(timeout=20)[0] == "through"
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_folders_follow_the_umask(tmp_path):
    """zamboni#1461: a copied scratch folder keeps its mode 700, and a web server cannot read it."""
    before = os.umask(0o022)
    try:
        assert run(["device", "kit", "--space", "mobile-tiny", "--networks", "2", "--out", str(tmp_path / "kit")]) == 0
        (tmp_path / "there").mkdir(mode=0o775)
        assert (
            run(["device", "kit", "--space", "mobile-tiny", "--networks", "2", "--out", str(tmp_path / "there")]) == 0
        )
    finally:
        os.umask(before)
    assert (tmp_path / "kit").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "kit" / "graphs").stat().st_mode & 0o777 == 0o755


def test_an_option_given_twice(capsys):
    """click#2340: the last one counts, without a word."""
    for twice in (
        ["--architecture=a0000000000", "--architecture", "a1111112222"],
        ["--split", "val", "--split", "test"],
    ):
        assert run(["evaluate", "digits", "--architecture", "a0000000000", *twice]) == 2
        assert "times; it takes one value" in capsys.readouterr().err
    assert run(["generate", "digits", "--budget", "mobile=1", "--budget", "cpu=1"]) == 0


def test_where_nothing_can_be_written_it_is_said_before_any_work(tmp_path, capsys):
    """papermill#201, pyslam#184: not after the measurements; and a machine without a temporary folder gets a line."""
    start = time.monotonic()
    for command in (
        ["device", "measure", "--space", "mobile-32", "--out", "/proc/mine.json"],
        ["export", "digits", "--budget", "mobile=1", "--fine-tune", "50", "--out", "/proc/x"],
        ["train-network", "mobile-tiny", "--architecture", "a0000000000", "--data", "digits", "--out", "/proc/x"],
    ):
        assert run(command) == 2
        assert "cannot write" in capsys.readouterr().err
    assert time.monotonic() - start < 60
    check_writable("/dev/null")
    check_writable(tmp_path / "a" / "b" / "c.json")
    assert list(tmp_path.iterdir()) == []
    nowhere = os.environ | {"TMPDIR": "/proc", "PYTHONPATH": str(tmp_path)}
    (tmp_path / "sitecustomize.py").write_text(
        "import tempfile\ntempfile._candidate_tempdir_list = lambda: ['/proc']\n"
    )
    done = subprocess.run([*EXPLORER, "export", "digits", "--budget", "mobile=1", "--out", str(tmp_path / "x")],
                          env=nowhere, capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2
    assert "set TMPDIR to one" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_written(tmp_path):
    """A container with a read-only home: the page works, says once what it cannot keep; doctor writes to know."""
    from explorer.page.serve import address
    from tests.trust.test_served import _get

    where = address()
    home = os.environ | {"HOME": "/proc", "EXPLORER_HOME": ""}
    done = subprocess.run([*EXPLORER, "doctor", "--json"], env=home, capture_output=True, text=True)
    rows = {row["what"]: row for row in json.loads(done.stdout)}
    assert rows["own folder"]["state"] == "broken"
    command = [*EXPLORER, "dashboard", "digits", "--no-browser", "--preheat", "0", "--port", str(where.port)]
    with subprocess.Popen(command, env=home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        try:
            for _ in range(60):
                time.sleep(0.5)
                with contextlib.suppress(OSError):
                    status, _ = _get(where.url)
                    break
            assert status == 200
        finally:
            server.terminate()
            said = server.communicate(timeout=30)[1]
    assert "note: cannot write '/proc" in said.splitlines()[0]
    assert "set EXPLORER_HOME" in said.splitlines()[0]


def test_onnxruntime_reports_nothing_to_its_makers(tmp_path):
    """onnxruntime 1.32 keeps a database of events for its telemetry in the user's cache; here it is switched off."""
    script = "import explorer; explorer.open_study('digits').generate({'mobile': 1})"
    alone = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    here = alone | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", script], env=here, capture_output=True, text=True, check=True)
    assert not list(tmp_path.rglob("*onnxruntime*"))
    assert "telemetry" not in done.stderr


def test_a_closed_terminal_ends_the_server(tmp_path):
    """obelisk#893: the parent goes with SIGHUP, and its server lives on."""
    from explorer.page.serve import address

    command = [*EXPLORER, "dashboard", "digits", "--no-browser", "--preheat", "0", "--port", str(address().port)]
    alone = {"stderr": subprocess.DEVNULL, "stdout": subprocess.PIPE, "text": True}
    as_in_a_terminal = lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)  # noqa: E731  (nohup ignores it)
    with subprocess.Popen(command, preexec_fn=as_in_a_terminal, **alone) as parent:
        assert "Dashboard" in parent.stdout.readline()
        time.sleep(1)
        children = f"/proc/{parent.pid}/task/{parent.pid}/children"
        (child,) = open(children).read().split()
        parent.send_signal(signal.SIGHUP)
        try:
            parent.wait(30)
        finally:
            parent.kill()
    assert parent.returncode == 128 + signal.SIGHUP
    assert not os.path.exists(f"/proc/{child}") or "zombie" in open(f"/proc/{child}/status").read()


def test_titles_in_a_terminal_without_their_letters(tmp_path):
    """rich#3764: one study with such a title made the whole list fail."""
    import shutil

    from explorer.core.files import data_folder

    study = shutil.copytree(data_folder("studies") / "digits", tmp_path / "studies" / "kanji")
    manifest = json.loads((study / "study.json").read_text())
    (study / "study.json").write_text(json.dumps(manifest | {"title": "家具 Möbel ≤"}))
    narrow = os.environ | {"PYTHONIOENCODING": "cp1252", "EXPLORER_HOME": str(tmp_path)}
    done = subprocess.run([*EXPLORER, "studies"], env=narrow, capture_output=True)
    assert done.returncode == 0
    assert b"M\xf6bel" in done.stdout


def test_a_full_output(tmp_path):
    """RaySession#167: no space left where the result is printed."""
    with open("/dev/full", "w") as full:
        done = subprocess.run([*EXPLORER, "spaces"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["explorer: cannot write the result: No space left on device"]


@pytest.mark.parametrize("seed", [-1, None, 1.5, "0", True])
def test_seeds_that_are_none(seed, digits_study):
    """cpython#83439, deepinterpolation#100: None splits differently at every call."""
    for ask in (
        lambda: explorer.load_dataset("digits", seed=seed),
        lambda: digits_study.search(seed=seed, evaluations=9),
    ):
        with pytest.raises(InputError, match="seed = "):
            ask()


def test_seeds_of_numpy(digits_study, tmp_path):
    found = digits_study.search(evaluations=50, seed=np.arange(3)[2], file=tmp_path / "search.npz")
    assert found.hypervolume == digits_study.search(evaluations=50, seed=2).hypervolume


def test_names_of_exported_source_can_be_imported(digits_study):
    """briefcase#2127: a study's name may begin with a digit, a module's may not."""
    from types import SimpleNamespace

    from explorer.exports import _file

    for stem in ("2024-photos-a0", "digits-a0", "class-1.5"):
        name = _file(SimpleNamespace(stem=stem), "source", ".py").removesuffix(".py")
        assert name.isidentifier(), name


def test_a_kit_refuses_what_its_import_would(tmp_path):
    """Everything was measured, and only the import said that --threads 0 is none; -OO has no docstrings."""
    assert run(["device", "kit", "--space", "mobile-tiny", "--networks", "2", "--out", str(tmp_path / "kit")]) == 0
    script = str(tmp_path / "kit" / "run.py")
    for wrong in (["--threads", "0"], ["--rounds", "0"], ["--seconds", "nan"]):
        done = subprocess.run([sys.executable, script, *wrong], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "")
        assert "at least 1" in done.stderr
    quick = ["--rounds", "1", "--seconds", "0.0001", "--name", "my-phone"]
    subprocess.run([sys.executable, "-OO", script, *quick], check=True, capture_output=True)
    out = tmp_path / "device.json"
    assert run(["device", "import", str(tmp_path / "kit" / "timings.json"), "--out", str(out)]) == 0
    assert load_device(out).name == "my-phone"


def test_a_device_needs_a_name(table, tmp_path, capsys):
    assert run(["device", "import", str(table), "--out", str(tmp_path / "d.json")]) == 2
    assert "add --name NAME" in capsys.readouterr().err


def test_a_report_into_a_folder_that_is_not_there_yet(tmp_path):
    """sv-witnesses#2: a name with / at the end is a folder."""
    assert run(["report", "digits", "--out", f"{tmp_path}/new/"]) == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["digits-report.html"]


def test_commands_that_are_printed_can_be_copied(tmp_path):
    (tmp_path / "sp ace").mkdir()
    (tmp_path / "sp ace" / "recipe.toml").write_text("")
    with pytest.raises(InputError, match=r"explorer train '.*sp ace/recipe.toml' --out '.*sp ace' --resume"):
        open_study(tmp_path / "sp ace")


def test_relative_folders_in_the_environment(tmp_path, monkeypatch):
    """DIGITS#593: the page's server works elsewhere, where a relative EXPLORER_HOME was lost with its trainings."""
    from explorer.page.serve import page_environment

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPLORER_HOME", "relative")
    assert page_environment(None)["EXPLORER_HOME"] == str(tmp_path / "relative")


def test_loops_are_compiled_where_nothing_can_be_kept(monkeypatch):
    """librosa#1156, numba#4032: a read-only installation without a cache folder."""
    from explorer.fast import compiled

    real = compiled.njit

    def nowhere(**options):
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available for file")
        return real(**options)

    monkeypatch.setattr(compiled, "njit", nowhere)
    assert not compiled.cached()
    assert callable(compiled.compiled(lambda x: x + 1))
    from explorer.cli.doctor import checks

    assert any("compiled again in every process" in row["detail"] for row in checks())
