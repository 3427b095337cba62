import contextlib
import json

import pytest


def one_line(done, *words):
    assert done.returncode == 2, done
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["export", "digits", "--architecture", "a0", "--generator", "pnag", "--out", "x"], ["'pnag'", "--budget"]),
        (["suggest", "digits", "--out", "x.recipe"], ["'x.recipe'", ".toml"]),
        (["device", "add", "fashion-mnist-pruned", "mine=i7-8700k", "--out", "x"], ["pruned networks", "'mine'"]),
        (["export", "fashion-mnist-pruned", "--architecture", "a0", "--format", "source", "--out", "x"],
         ["unknown format 'source'", "onnx"]),
        (["device", "import", "x.json", "--name", "a", "--unit", "s", "--out", "y.json"], ["'x.json'", "--unit"]),
        (["device", "fit", "x.csv", "--name", "a", "--column", "c", "--out", "y.json"], ["column 'c'", "--space"]),
        (["generate", "nope", "--budget", "mobile=1"], ["unknown study 'nope'", "digits"]),
        (["generate", "digits", "--budget", "phone=1"], ["unknown target 'phone'", "mobile, cpu, gpu"]),
        (["generate", "digits", "--budget", "mobile=-1"], ["mobile = -1.0", "above 0"]),
        (["generate", "digits", "--budget", "mobile=nan"], ["mobile = nan"]),
        (["generate", "digits", "--budget", "mobile=fast"], ["'mobile=fast'", "mobile=0.5"]),
        (["generate", "digits", "--budget", "mobile"], ["'mobile'"]),
        (["generate", "digits"], ["no budget"]),
        (["generate", "digits", "--budget", "mobile=1", "--generator", "gan"], ["unknown generator 'gan'", "expert", "pnag"]),
        (["generate"], ["study"]),
        (["evaluate", "digits", "--architecture", "x"], ["'x'", "not a key"]),
        (["evaluate", "digits", "--architecture", "a0000000000", "--split", "dev"], ["unknown split 'dev'", "test"]),
        (["measure", "digits", "--architecture", "a0000000000", "--threads", "1000"], ["threads = 1000"]),
        (["suggest", "folder:/nowhere"], ["'/nowhere' does not exist"]),
        (["suggest", "digits", "--minutes", "0"], ["minutes = 0"]),
        (["export", "digits", "--budget", "mobile=1", "--out", "x", "--format", "coreml"], ["'coreml'", "int8", "tflite"]),
        (["export", "digits", "--budget", "mobile=1", "--out", "x", "--fine-tune", "-1"], ["fine_tune = -1"]),
        (["dashboard", "digits", "--data-root", "/nowhere"], ["'/nowhere' is not a folder"]),
        (["dashboard", "digits", "--theme", "pink"], ["unknown theme 'pink'", "light, dark"]),
        (["train", "nope", "--out", "x"], ["unknown recipe 'nope'", "fashion-mnist"]),
        (["train", "absent.toml", "--out", "x"], ["absent.toml"]),
        (["train", "digits", "--out", "x", "--data", "folder:/nowhere"], ["'/nowhere' does not exist"]),
        (["search", "digits", "--algorithm", "nsga9"], ["unknown algorithm 'nsga9'", "memetic"]),
        (["search", "digits", "--device", "tpu"], ["unknown target 'tpu'"]),
        (["search", "digits", "--evaluations", "0"], ["evaluations = 0"]),
        (["search", "digits", "--device", "mobile", "--budget", "mobile=0.001"], ["not reachable; the nearest"]),
        (["search", "digits", "--device", "mobile", "--budget", "cpu=1"], ["unknown device of a budget 'cpu'"]),
        (["export", "digits", "--out", "x"], ["--architecture KEY or --budget"]),
        (["export", "digits", "--out", "x", "--architecture", "a0000000000", "--format", "pdf"], ["unknown format 'pdf'"]),
        (["dashboard", "nope"], ["unknown study 'nope'"]),
        (["dashboard", "--port", "99999999"], ["port = 99999999"]),
        (["rank", "nope", "--sample", "1"], ["unknown study or space 'nope'", "nasbench201"]),
        (["rank", "nasbench201", "--sample", "1"], ["no images of its own", "--data"]),
        (["rank", "digits"], ["--architecture KEY", "--sample N"]),
        (["rank", "digits", "--sample", "1", "--train", "most"], ["train", "'head'"]),
        (["rank", "nasbench201", "--data", "digits", "--architecture", "|none~0|"], ["is not a cell", "nor_conv_3x3"]),
        (["train-network", "digits", "--architecture", "x", "--out", "x"], ["'x'", "not a key"]),
        (["train-network", "digits", "--architecture", "a0000000000", "--out", "x", "--lr", "-1"], ["lr"]),
        (["fly"], ["fly"]),
        (["generate", "digits", "--colour"], ["--colour"]),
    ],
)  # fmt: skip
def test_bad_input_is_one_plain_line(arguments, words, command, tmp_path):
    one_line(command(*arguments, cwd=tmp_path), *words)
    assert list(tmp_path.iterdir()) == []


def test_empty_and_one_class_folders(command, tmp_path):
    from PIL import Image

    (tmp_path / "empty").mkdir()
    one_line(command("train", "digits", "--out", tmp_path / "o", "--data", f"folder:{tmp_path / 'empty'}"), "no images")
    (tmp_path / "one" / "cat").mkdir(parents=True)
    Image.new("L", (8, 8)).save(tmp_path / "one" / "cat" / "a.png")
    one_line(
        command("train", "digits", "--out", tmp_path / "o", "--data", f"folder:{tmp_path / 'one'}"), "one class only"
    )
    assert not (tmp_path / "o").exists()


def test_generate(command, digits_study):
    low, high = digits_study.budget_range("mobile")
    done = command("generate", "digits", "--budget", f"mobile={high}", "--budget", "cpu=0.02", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"architecture", "accuracy", "interval", "costs", "feasible", "generator", "seconds"}
    assert result["costs"]["cpu"] <= 0.02
    assert result["generator"] == digits_study.generators[0]
    below = command("generate", "digits", "--budget", f"mobile={low / 2}", "--json")
    one_line(below, "not reachable", f"{low:.4g}")
    assert json.loads(below.stdout)["feasible"] is False


def test_search_and_going_on_with_it(command, digits_study, tmp_path):
    line = ["search", "digits", "--device", "mobile", "--evaluations", "300", "--file", tmp_path / "s.npz", "--json"]
    done = command(*line)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {"front", "hypervolume", "reference", "evaluations", "seconds"}
    assert result["evaluations"] == 300
    assert result["reference"] == digits_study.manifest.reference["mobile"]
    costs = [row["costs"]["mobile"] for row in result["front"]]
    assert costs == sorted(costs)
    again = json.loads(command(*line).stdout)
    assert again["front"] == result["front"]


def test_a_terminated_dashboard_leaves_no_server(tmp_path):
    import os
    import signal
    import socket
    import subprocess
    import sys
    import time

    start = "import sys; from explorer.cli import main; sys.argv = ['explorer', 'dashboard', 'digits', '--no-browser']; main()"
    page = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    port = int(page.stdout.readline().split("127.0.0.1:")[1].split("/")[0].split()[0])

    def answers():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    until = time.monotonic() + 60
    while not answers() and time.monotonic() < until:
        time.sleep(0.2)
    assert answers()
    os.kill(page.pid, signal.SIGTERM)
    assert page.wait(30) == 143
    assert not answers()


@pytest.mark.parametrize(
    ("verb", "keys"),
    [
        ("spaces", {"space", "decisions", "architectures", "macs_m", "params_m"}),
        ("devices", {"device", "unit", "provenance"}),
        ("studies", {"study", "space", "generators"}),
        ("generators", {"generator", "space", "parameters"}),
        ("doctor", {"what", "state", "detail"}),
    ],
)
def test_lists(verb, keys, command):
    done = command(verb, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    rows = json.loads(done.stdout)
    assert rows
    assert all(keys <= set(row) for row in rows)
    assert command(verb).stdout.strip()


def test_two_numbers_are_a_range_and_two_names_are_not():
    from explorer.cli.terminal import table

    assert table([{"range": [0.5, 2], "names": ["pnag", "expert"]}]).splitlines()[1] == "0.5 to 2  pnag, expert"


def test_evaluate_measure_and_export(command, digits_study, tmp_path):
    reported = digits_study.manifest.reported[0]
    done = command("evaluate", "digits", "--architecture", reported.key, "--split", "test", "--json")
    assert json.loads(done.stdout) == {"architecture": reported.key, "accuracy": reported.test, "split": "test"}
    done = command("measure", "digits", "--architecture", reported.key, "--json")
    assert json.loads(done.stdout)["latency_ms"] > 0
    done = command("export", "digits", "--architecture", reported.key, "--out", tmp_path / "x", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["check"]["same_top1"] == 1
    one_line(command("export", "digits", "--architecture", reported.key, "--out", tmp_path / "x"), "not empty")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stopped_training_says_how_to_resume(name, quick_recipe, tmp_path):
    import signal
    import subprocess
    import sys
    import time

    line = [
        sys.executable,
        "-c",
        "from explorer.cli import main; main()",
        "train",
        str(quick_recipe),
        "--out",
        str(tmp_path / "o"),
    ]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "o" / "recipe.toml").exists():
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.Signals[name])
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.Signals[name]
    assert "--resume" in stderr
    assert "Traceback" not in stderr


def test_a_terminated_export_leaves_no_scratch_files(tmp_path):
    import os
    import subprocess
    import sys
    import time

    (tmp_path / "scratch").mkdir()
    line = [
        sys.executable,
        "-m",
        "explorer",
        "export",
        "digits",
        "--budget",
        "mobile=0.3",
        "--out",
        str(tmp_path / "x"),
    ]
    process = subprocess.Popen(line, stderr=subprocess.DEVNULL, env=os.environ | {"TMPDIR": str(tmp_path / "scratch")})
    until = time.monotonic() + 120
    while not list((tmp_path / "scratch").glob("explorer-export-*")) and time.monotonic() < until:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(60) == 143
    assert not list((tmp_path / "scratch").glob("explorer-*"))
    assert not (tmp_path / "x").exists()


def test_a_ctrl_c_that_a_library_swallowed_stops_the_next_step():
    import signal

    from explorer.cli.terminal import interruptible, progress

    seen = []

    def work():
        for i in progress(range(5), 5, "testing"):
            seen.append(i)
            with contextlib.suppress(BaseException):
                signal.raise_signal(signal.SIGINT)

    with interruptible(), pytest.raises(KeyboardInterrupt):
        work()
    assert seen == [0]
    with interruptible():
        assert list(progress(range(3), 3, "testing")) == [0, 1, 2]  # the next command knows nothing of it


def test_ranking_and_training_alone(command, tmp_path):
    rank = [
        "rank",
        "nasbench201",
        "--data",
        "digits",
        "--sample",
        "2",
        "--images",
        "200",
        "--cache",
        str(tmp_path / "c"),
    ]
    scores = json.loads(command(*rank, "--json").stdout)["scores"]
    assert [set(score) for score in scores] == [{"architecture", "error", "stderr", "seconds"}] * 2
    again = json.loads(command(*rank, "--json").stdout)["scores"]
    assert [s["error"] for s in again] == [s["error"] for s in scores]
    assert all(score["seconds"] == 0 for score in again)
    out = tmp_path / "alone"
    train = ["train-network", "digits", "--architecture", "a0000000000", "--epochs", "8", "--out", str(out)]
    card = json.loads(command(*train, "--json").stdout)
    assert card["test"] > 0.5
    assert card["check"]["same_top1"] == 1
    assert sorted(p.suffix for p in out.iterdir()) == [".json", ".onnx", ".safetensors"]
    one_line(command(*train), "is not empty")


def test_studies_of_other_targets_stand_in_their_own_columns(capsys):
    from explorer.cli import run

    assert run(["studies", "--json"]) == 0
    rows = {row["study"]: row for row in json.loads(capsys.readouterr().out)}
    assert "mobile_ms" in rows["fashion-mnist"]
    assert "params_m" in rows["fashion-mnist-pruned"], "no latency"
    assert run(["studies"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if line.startswith("fashion-mnist-pruned "))
    shown = line[head.index("params_m") :]
    assert shown.split(" to ")[0].strip() == f"{rows['fashion-mnist-pruned']['params_m'][0]:.4g}"
    assert run(["generate", "fashion-mnist-pruned", "--budget", "params_m=0.2"]) == 0
    assert "measured accuracy" in capsys.readouterr().out


def test_a_served_page_says_where_it_is_as_json(tmp_path):
    import subprocess
    import sys

    line = [sys.executable, "-m", "explorer", "dashboard", "digits", "--no-browser", "--json"]
    page = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    told = json.loads(page.stdout.readline())
    assert told["url"].startswith("http://127.0.0.1:")
    page.terminate()
    rest, _ = page.communicate(timeout=60)
    assert rest == ""
    assert page.returncode == 143
