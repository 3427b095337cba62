"""Ethos-U NPUs, by Arm's own estimator."""

import json
import subprocess
import sys

import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.core.operators import MBConv
from explorer.devices import device_from, device_json, load_device
from explorer.devices.ethos_u import CHIPS, estimate, estimate_networks, estimate_table
from explorer.spaces import SPACES
from explorer.testing import check_device

TINY = SPACES["mobile-tiny"].for_images(1, 10, 8)


@pytest.fixture(scope="module")
def table():
    pytest.importorskip("ethosu.vela", reason="needs the extra mcu")
    return estimate_table("npu", [TINY], "ethos-u55-128", networks=40)


def test_a_table_of_estimates(table):
    check_device(table, TINY)
    assert table.provenance.kind == "modelled"
    assert "Vela estimate" in str(table.provenance)
    assert table.precision == "int8"
    assert "blocks estimated one by one" in table.provenance.source
    assert device_json(device_from(device_json(table), "again")) == device_json(table)
    print(table.provenance.error)
    assert table.provenance.error["mape"] < 0.08


def test_a_larger_network_takes_longer_and_more(table):
    small, large = (
        estimate_networks([[MBConv(32, 32, n, 3, 1, mid=96, act="relu")]], "ethos-u65-512")[0] for n in (8, 32)
    )
    assert small.latency_ms < large.latency_ms
    assert small.sram_kb < large.sram_kb
    assert small.whole


def test_what_cannot_be_estimated_is_said(tmp_path):
    with pytest.raises(InputError, match="unknown chip 'ethos-u99'; choose from: ethos-u55-128"):
        estimate(b"", "ethos-u99")
    pytest.importorskip("ethosu.vela", reason="needs the extra mcu")
    with pytest.raises(InputError, match="Vela cannot compile"):
        estimate(b"not a file", "ethos-u55-128")
    with pytest.raises(InputError, match="no form for eight-bit runtimes"):
        estimate_networks([SPACES["darts"].layers(SPACES["darts"].sample(1, np.random.default_rng(0))[0])], CHIPS[0])


def test_without_vela_its_extra_is_named():
    code = (
        "import sys; sys.modules['ethosu.vela'] = None\n"
        "from explorer.devices.ethos_u import estimate; estimate(b'', 'ethos-u55-128')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "needs ethos-u-vela: pip install 'pareto-explorer[mcu]'" in done.stderr


def test_the_shipped_chips_are_estimates(rng):
    for chip in CHIPS:
        device = load_device(chip)
        assert device.provenance.kind == "modelled"
        assert device.precision == "int8"
        space = SPACES["lite-w1.0"]
        assert (device.cost(space, space.sample(50, rng)) > 0).all()


def test_the_command(tmp_path, command):
    done = command("device", "estimate", "ethos-u99", "--space", "mobile-tiny", "--out", tmp_path / "x.json")
    assert done.returncode == 2
    assert "choose from: ethos-u55-128, ethos-u65-512, ethos-u85-256" in done.stderr
    assert not (tmp_path / "x.json").exists()
    assert json.loads(command("devices", "--json").stdout)
