import json

import numpy as np
import onnxruntime as ort
import pytest

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.core.front import kendall_tau
from explorer.devices import BlockTable, CountDevice, Provenance, device_json, device_names, load_device
from explorer.devices.graph import network_graph
from explorer.devices.measure import measure_file
from explorer.devices.plan import all_layers
from explorer.spaces import SPACES
from explorer.testing import check_device

SMALL = ("mobile-tiny", "mobile-32")


@pytest.mark.parametrize("name", device_names())
@pytest.mark.parametrize("space", SMALL)
def test_every_device_conforms(name, space):
    check_device(load_device(name), SPACES[space])


@pytest.mark.parametrize("name", [n for n in device_names() if not n.startswith(("cpu", "ethos"))])
def test_fitted_devices_and_counts_price_the_imagenet_spaces(name):
    check_device(load_device(name), SPACES["mobilenetv3-w1.2"], n=8)


def test_compiled_cost_is_the_sum_over_layers(rng):
    space = SPACES["mobile-32"]
    codes = space.sample(20, rng)
    for name in device_names():
        device = load_device(name)
        if not device.additive:
            continue
        slow = [device.offset + device.scale * sum(map(device.price, space.layers(row))) for row in codes]
        assert np.allclose(device.cost(space, codes), slow)


def test_the_three_targets_disagree(rng):
    space = SPACES["mobile-32"].for_images(1, 10, 28)
    codes = space.sample(5000, rng)
    costs = {name: load_device(name).cost(space, codes) for name in ("mobile", "cpu", "gpu")}
    for a, b in (("mobile", "cpu"), ("mobile", "gpu"), ("cpu", "gpu")):
        assert kendall_tau(costs[a], costs[b]) < 0.95, (a, b)


def test_every_device_says_where_its_numbers_come_from():
    for name in device_names():
        about = load_device(name).provenance
        if name in ("macs_m", "params_m", "ram_kb", "flash_kb"):
            assert about.kind == "counted"
            continue
        assert about.kind == ("measured" if name.startswith("cpu") else "modelled")
        assert about.hardware, name
        assert about.source, name
        assert 0 < about.error["mape"] < 0.1, name
        assert about.error["kendall_tau"] > 0.7, name
        fitted = about.licence and "extrapolated" in about.note
        assert about.kind == "measured" or fitted or name == "i7-8700k" or "Vela estimate" in about.runtime


def test_a_device_says_where_it_extrapolates(rng):
    small, large = SPACES["mobile-32"], SPACES["mobilenetv3-w1.2"].restrict({"r": (192, 224)})
    assert "size 4 to" in load_device("mobile").outside(small, small.sample(20, rng))
    assert "cost" in load_device("v100-1").outside(small, small.sample(20, rng))
    assert load_device("mobile").outside(large, large.sample(20, rng)) == ""
    assert load_device("cpu").outside(small, small.sample(2, rng)) == ""


def test_a_device_may_have_another_name(rng):
    space = SPACES["mobilenetv3-w1.0"]
    codes = space.sample(5, rng)
    device = load_device("cpu=i7-8700k")
    assert device.name == "cpu"
    assert (device.cost(space, codes) == load_device("i7-8700k").cost(space, codes)).all()


@pytest.mark.parametrize("space", SMALL)
@pytest.mark.parametrize(("channels", "size"), [(1, 28), (3, 32)])
def test_the_cpu_table_has_every_block_for_grey_and_colour(space, channels, size):
    if space == "mobile-tiny":
        channels, size = 1, 8
    configured = SPACES[space].for_images(channels, 37, size)
    device = load_device("cpu")
    assert all(device.price(layer) >= 0 for layer in all_layers(configured))


def test_a_missing_block_is_refused_by_name(rng):
    table = BlockTable("x", Provenance(kind="measured"), {"pool 1-1 1px": 1.0})
    with pytest.raises(InputError, match="no measurement of layer 'stem'"):
        table.cost(SPACES["mobile-tiny"], SPACES["mobile-tiny"].sample(1, rng))
    with pytest.raises(InputError, match="-1"):
        BlockTable("x", Provenance(kind="measured"), {"a": -1.0})


@pytest.mark.parametrize("name", ["mobile", "cpu", "gpu"])
def test_device_files_read_back(name, tmp_path, rng):
    device = load_device(name)
    path = tmp_path / "d.json"
    path.write_text(json.dumps(device_json(device)))
    codes = SPACES["mobile-32"].sample(5, rng)
    again = load_device(path)
    assert (again.cost(SPACES["mobile-32"], codes) == device.cost(SPACES["mobile-32"], codes)).all()
    assert again.provenance == device.provenance


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"unit": "s"}, "unit"), ({"blocks": {"a": "fast"}}, "blocks"), ({"extra": 1}, "extra"), ({"kind": "magic"}, "kind"),
        ({"blocks": {}}, "at least one block"), ({"kind": "layers", "weights": {"magic": 1.0}}, "magic"),
        ({"kind": "layers", "weights": {"1x1": -1.0}}, "-1.0"),
    ],
)  # fmt: skip
def test_malformed_device_files_are_refused(change, word, tmp_path):
    path = tmp_path / "d.json"
    path.write_text(json.dumps(device_json(load_device("cpu")) | change))
    with pytest.raises(InputError, match=word):
        load_device(path)


def test_unknown_device_lists_the_known_ones():
    with pytest.raises(
        InputError, match="unknown device 'phone'; choose from: cpu, cpu-2-threads, cpu-int8, ethos-u55-128"
    ):
        load_device("phone")


class _ProtocolDevice:
    """What a user may bring: name, unit, cost."""

    name, unit = "mine", "ms"

    def cost(self, space, codes):
        return CountDevice("macs_m").cost(space, codes) * 2


def test_anybodys_device_conforms():
    check_device(_ProtocolDevice(), SPACES["mobile-tiny"])


def test_graphs_run_and_have_the_layers_shapes(tmp_path, rng):
    space = SPACES["mobile-32"]
    a = Architecture(space, space.sample(1, rng)[0])
    model = network_graph(space.layers(a))
    out = ort.InferenceSession(model.SerializeToString()).run(None, {"images": np.zeros((1, 3, 32, 32), np.float32)})
    assert out[0].shape == (1, 10)
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    measured = measure_file(tmp_path / "x.onnx", rounds=3)
    assert measured["latency_ms"] > 0
    assert measured["threads"] == 1


def test_a_shipped_name_comes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "cpu").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load_device("cpu").name == "cpu"
    with pytest.raises(InputError, match="cpu"):
        load_device("./cpu")


@pytest.mark.parametrize("name", ["accuracy", "lo", "hi", "key", "source"])
def test_a_device_is_not_called_as_a_column_beside_it(name, digits_study):
    with pytest.raises(InputError, match=f"device name '{name}' is a reserved column name"):
        load_device(f"{name}=i7-8700k")
    device = load_device("i7-8700k")
    device.name = name
    with pytest.raises(InputError, match="is a reserved column name"):
        digits_study.with_device(device, retrain=False)
