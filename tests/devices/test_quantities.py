import json
import re

import pytest

from explorer.core.errors import InputError
from explorer.devices import LayerDevice, Provenance, load_device
from explorer.devices.files import device_from
from explorer.devices.quantities import column_of, is_target, is_timed, not_reachable, targets_of
from tests.conftest import ROOT


def device(name, unit, **more):
    return LayerDevice(name, unit, Provenance(kind="modelled"), **more)


@pytest.mark.parametrize("unit", ["kB", "KiB", "MB", "mJ"])
def test_a_forgotten_quantity_is_refused(unit):
    with pytest.raises(InputError, match=f"device 'flash': unit '{unit}' is not a unit of latency; give it a quantity"):
        device("flash", unit)
    assert device("flash", unit, quantity="size").quantity == "size"


def test_targets_come_first_latencies_before_others():
    found = [device("flash", "kB", quantity="size"), load_device("macs_m"), device("phone", "ms")]
    assert [d.name for d in targets_of(found)] == ["phone", "flash"]
    assert [is_timed(d) for d in found] == [False, False, True]
    assert not is_target(found[1])


def test_numbers_are_said_with_their_unit():
    flash = device("flash", "kB", quantity="size")
    assert column_of(flash) == "flash_kb"
    said = not_reachable({"flash": flash}, {"flash": 20.0}, {"flash": 212.04})
    assert said == "budget flash 20 kB is not reachable; the nearest reachable network has flash 212 kB"


def test_the_devices_of_the_documentation_work(digits_study):
    text = (ROOT / "docs" / "devices.md").read_text()
    written, code = (re.search(rf"```{kind}\n(.*?)```", text, re.S)[1] for kind in ("json", "python"))
    flash = device_from(json.loads(written), "docs")
    assert (flash.quantity, flash.unit) == ("size", "kB")
    assert device_from(json.loads(written) | {"unit": "µJ", "quantity": "energy"}, "docs").unit == "µJ"
    names = {"ex": __import__("explorer")}
    exec(code, names)
    candidate = names["study"].generate({"flash": 10.0})
    assert candidate.feasible
    assert candidate.costs["flash"] == pytest.approx(1000 * candidate.costs["params_m"])
