"""Everything that others can add, added from outside: a package with entry points, no line of ours changed.

The package `toys` is on the path as an installed one would be. Each test uses its thing end to end.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import explorer as ex
from explorer.cli import run
from explorer.core.architecture import Architecture
from explorer.core.layer import OPERATORS, Layer
from explorer.devices import DEVICES, KINDS, LayerDevice, Provenance, load_device
from explorer.evaluators import EVALUATORS
from explorer.exports import FORMATS
from explorer.generators import METHODS
from explorer.searches import ALGORITHMS
from explorer.spaces import SPACES
from explorer.study import open_study
from explorer.study.add_device import add_device
from explorer.testing import check_device, check_evaluator, check_generator, check_space
from explorer.widgets import PANELS, Dashboard
from tests.conftest import ROOT

PACKAGE = Path(__file__).parent / "package"
TABLES = (KINDS, DEVICES, OPERATORS, SPACES, ALGORITHMS, METHODS, FORMATS, PANELS, EVALUATORS)
NAMES = (
    "roofline",
    "activations_kb",
    "shuffle",
    "toy-kernels",
    "climb",
    "linear",
    "npz",
    "counter",
    "counted-parameters",
)


@pytest.fixture(scope="module", autouse=True)
def installed():
    """The package is installed, and gone afterwards."""
    sys.path.insert(0, str(PACKAGE))
    for table in TABLES:
        table.refresh()
    yield
    sys.path.remove(str(PACKAGE))
    for table, name in zip(TABLES, NAMES):
        table.forget(name)


RECIPE = """
title = "Toy"
data = "digits"
space = "toy-kernels"
devices = ["mobile", "cpu=i7-8700k", "macs_m", "params_m"]
generators = ["{generator}"]
[supernet]
epochs = 2
batch = 64
rule = "uniform"
[scores]
architectures = 24
calibration_images = 100
front_architectures = 3
[predictor]
epochs = 10
members = 1
[search]
evaluations = 100
[expert]
budgets = 64
rounds = 4
"""


@pytest.fixture(scope="module")
def toy_study(installed, tmp_path_factory):
    """A study of the toy space with the toy generator."""
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy.toml").write_text(RECIPE.format(generator="linear"))
    return ex.train(folder / "toy.toml", folder / "study")


def test_device_kind(quick_study, tmp_path):
    device = KINDS["roofline"].device("board", Provenance(kind="modelled"), 2.0, 10.0)
    made = add_device(quick_study, device, tmp_path / "wider")
    assert json.loads((tmp_path / "wider" / "devices" / "board.json").read_text())["kind"] == "roofline"
    study = open_study(tmp_path / "wider")
    assert study.targets == ["mobile", "cpu", "gpu", "board"] == made.targets
    check_device(study.devices["board"], study.space)
    low, high = study.budget_range("board")
    candidate = study.generate({"board": (low * high) ** 0.5})
    assert candidate.feasible
    assert candidate.costs["board"] <= (low * high) ** 0.5


def test_unit(digits_study):
    study = digits_study.with_device(load_device("activations_kb"), retrain=False)
    assert study.main_targets == ["mobile", "cpu", "gpu", "activations_kb"]
    check_device(study.devices["activations_kb"], study.space)
    low, high = study.budget_range("activations_kb")
    assert low < high
    for budget in np.linspace(low, high, 5):
        candidate = study.generate({"activations_kb": float(budget)})
        assert candidate.feasible
        assert candidate.costs["activations_kb"] <= budget
    page = Dashboard(study)
    assert page.budgets.rows["activations_kb"].number.description == "activations_kb [kB]"
    page.front.device.value = "activations_kb"
    assert page.front.figure.layout.xaxis.title.text.startswith("activations_kb: memory [kB]")
    assert "Latency and memory budgets" in page.budgets.children[0].value


def test_a_calculated_device_is_added_to_a_study_by_its_name(quick_study, tmp_path):
    made = add_device(quick_study, load_device("activations_kb"), tmp_path / "wider")
    assert not (
        tmp_path / "wider" / "devices" / "activations_kb.json"
    ).exists()  # it is calculated, so it needs no file
    study = open_study(tmp_path / "wider")
    assert study.targets[-1] == made.targets[-1] == "activations_kb"
    assert study.generate({"activations_kb": study.knee("activations_kb")}).feasible


def test_a_device_on_which_all_networks_cost_the_same_is_refused_before_anything_is_trained(quick_study, tmp_path):
    class Fee(LayerDevice):
        def price(self, layer):
            return 1.0 if layer.op == "linear" else 0.0

    fee = Fee("fee", "EUR", Provenance(kind="modelled"), quantity="energy")
    DEVICES.register("fee", lambda: fee)
    try:
        with pytest.raises(ex.InputError, match="every network costs 1 EUR, so cost cannot be a budget"):
            add_device(quick_study, load_device("fee"), tmp_path / "wider")
    finally:
        DEVICES.forget("fee")
    assert not (tmp_path / "wider").exists()
    with pytest.raises(ex.InputError, match="every network costs 1 EUR"):
        quick_study.with_device(fee)


def test_space_in_a_new_family(toy_study, tmp_path, capsys):
    check_space(SPACES["toy-kernels"])
    assert toy_study.space == SPACES["toy-kernels"].for_images(1, 10, 8)
    low, high = toy_study.budget_range("mobile")
    candidate = toy_study.generate({"mobile": (low * high) ** 0.5})
    assert candidate.feasible
    bundle = ex.export(toy_study, candidate, tmp_path / "out", formats=["onnx", "source"])
    assert bundle.check["same_top1"] == 1.0
    capsys.readouterr()
    assert run(["spaces", "--json"]) == 0
    row = next(r for r in json.loads(capsys.readouterr().out) if r["space"] == "toy-kernels")
    assert (row["decisions"], row["architectures"]) == (3, 27)


def test_operator(toy_study, tmp_path):
    from explorer.core.operators import Conv, GlobalPool, Linear
    from explorer.devices.measure import measure_networks
    from explorer.exports.alone import train_alone
    from explorer.exports.original import Original
    from explorer.exports.torch_files import run_source, write_source
    from explorer.spaces import TableSpace
    from explorer.supernets import build

    shuffle = OPERATORS["shuffle"](8, 8, 8, name="stage1.2", inputs=("stage1.1",))
    layers = (
        Conv(1, 8, 8, 3, act="relu", name="stage1.1"), shuffle,
        Conv(8, 8, 8, 3, act="relu", groups=2, name="stage1.3", inputs=("stage1.2",)),
        GlobalPool(8, 8, 8, name="pool", inputs=("stage1.3",)),
        Linear(8, 10, 1, name="classifier", inputs=("pool",)),
    )  # fmt: skip
    assert Layer.of_signature(shuffle.signature) == shuffle
    space = TableSpace({"one": layers})
    check_space(space)
    check_device(load_device("mobile"), space)  # priced by features
    assert measure_networks([layers], rounds=1)[0] > 0  # written as ONNX, and timed
    images = ex.load_dataset("digits")
    facts = train_alone(Architecture(space, [0]), images, tmp_path / "alone", checked=50)
    assert facts["check"]["same_top1"] == 1.0
    network = build(layers, images.mean, images.std, seed=0).eval()
    original = Original(toy_study, Architecture(space, [0]), network, "random", None, None)
    source = _Shown(original, layers)
    write_source(source, tmp_path / "network.py")
    x = images.test.images[:20].float() / 255
    assert np.allclose(run_source(tmp_path / "network.py")(x), network(x).detach().numpy(), atol=1e-5)
    assert "MODULES['shuffle'] = channel_shuffle" in (tmp_path / "network.py").read_text()


class _Shown:
    """An `Original` whose study shows given layers."""

    def __init__(self, original, layers):
        self.__dict__.update(vars(original))
        self.candidate = type("Candidate", (), {"key": "one", "architecture": None})
        space = type("Space", (), {"layers": staticmethod(lambda _: layers)})
        self.study = type("Study", (), {"name": "toy", "manifest": original.study.manifest, "space": space})


def test_an_operator_without_onnx_nodes_is_named_where_it_is_to_be_timed():
    from explorer.devices.measure import measure_networks

    class Silent(Layer):
        op = "silent"

    with pytest.raises(ex.InputError, match="operator 'silent' does not implement write"):
        measure_networks([(Silent(8, 8, 8, name="one"),)], rounds=1)


def test_search(digits_study, capsys):
    found = digits_study.search("climb", devices=["mobile"], evaluations=400)
    best = digits_study.search("memetic", devices=["mobile"], evaluations=1764)
    assert 0.9 * best.hypervolume < found.hypervolume <= best.hypervolume * 1.0001
    capsys.readouterr()
    assert run(["search", "digits", "--algorithm", "climb", "--device", "mobile", "--evaluations", "60", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluations"] <= 60


def test_generator(toy_study, tmp_path):
    assert toy_study.generators == ["linear"]
    assert (toy_study.folder / "recipe.toml").read_text().count("[linear]") == 1
    devices = list(toy_study.devices.values())
    check_generator(toy_study.generator("linear"), toy_study.space, devices)
    table = pd.DataFrame({"mobile": np.geomspace(*toy_study.budget_range("mobile"), 9)[1:]})
    made = toy_study.generate_many(table, "linear")
    assert all(c.feasible and c.generator == "linear" for c in made)
    alone = ex.train_generator(toy_study.space, toy_study.predictor, devices[:1], method="linear", evaluations=200)
    check_generator(alone, toy_study.space, devices[:1])


def test_export_format(digits_study, tmp_path, capsys):
    key = digits_study.generate({"mobile": digits_study.knee("mobile")}).key
    out = tmp_path / "out"
    assert run(["export", "digits", "--architecture", key, "--format", "npz", "--out", str(out), "--json"]) == 0
    path = json.loads(capsys.readouterr().out)["files"]["npz"]
    assert "blocks.classifier.weight" in np.load(path)
    assert Dashboard(digits_study).panel("export").formats["npz"].description == "numpy arrays"


def test_panel(digits_study):
    page = Dashboard(digits_study)
    assert page.panel("counter").value == "1 networks seen"
    low, high = digits_study.budget_range("mobile")
    page.state.move("mobile", low)
    page.state.move("mobile", high)
    assert page.panel("counter").value == "3 networks seen"
    assert "Seen" in page.tabs.titles


def test_evaluator(digits_study):
    kind = EVALUATORS["counted-parameters"]
    evaluator = kind.load()(digits_study.space)
    check_evaluator(evaluator, digits_study.space)
    front = ex.search(digits_study.space, evaluator, [digits_study.devices["mobile"]], evaluations=500)
    assert len(front) > 3
    assert (np.diff(front.accuracy) > 0).all()


def test_what_is_found_loads_no_torch():
    code = (
        "import sys, explorer, explorer.devices, explorer.exports, explorer.generators, explorer.spaces\n"
        "from explorer.core.layer import OPERATORS\n"
        "from explorer.evaluators import EVALUATORS\n"
        "tables = [explorer.devices.DEVICES, explorer.devices.KINDS, explorer.exports.FORMATS, EVALUATORS, OPERATORS,\n"
        "          explorer.generators.METHODS, explorer.spaces.SPACES]\n"
        "names = {name for table in tables for name in table}\n"
        "print(sorted(names & {'shuffle', 'linear', 'npz', 'toy-kernels'}), 'torch' in sys.modules)"
    )
    env = os.environ | {"PYTHONPATH": f"{PACKAGE}:{ROOT}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=env)
    assert done.stdout.strip() == "['linear', 'npz', 'shuffle', 'toy-kernels'] False", done.stderr


def test_helps_and_recipes_know_them():
    code = "from explorer.cli import run; run(['search', '--help']); run(['export', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": f"{PACKAGE}:{ROOT}", "COLUMNS": "300"})  # fmt: skip
    assert "climb" in done.stdout, done.stderr
    assert "npz" in done.stdout
    with pytest.raises(ex.InputError, match="choose from: .*linear"):
        METHODS["no-such-method"]


def test_a_broken_package_is_left_out_with_a_word(tmp_path, monkeypatch):
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[explorer.searches]\nbroken = no_such_module:x\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    ALGORITHMS.refresh()
    with pytest.warns(UserWarning, match="algorithm 'broken' of another package .* cannot be loaded"):
        assert "broken" not in ALGORITHMS
    assert "memetic" in ALGORITHMS


def test_contributing_says_what_each_takes():
    """Lines of the toys, as the table in CONTRIBUTING has them; every one is one file and no edit elsewhere."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for name, files in {
        "device kind": ["device_kind"], "unit": ["unit"], "operator": ["operator"], "search": ["search"],
        "space in a new family": ["space", "space_supernet"], "generator": ["generator"],
        "export format": ["export_format"], "panel": ["panel"], "evaluator": ["evaluator"],
    }.items():  # fmt: skip
        sources = [(PACKAGE / "toys" / f"{file}.py").read_text().splitlines() for file in files]
        lines = sum(bool(line.strip()) for source in sources for line in source)
        assert re.search(rf"\| {name} \| {len(files)} \| {lines} \| 0 \|", text), (
            f"{name}: {len(files)} files, {lines} lines"
        )
