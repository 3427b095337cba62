"""A device from few networks: it starts from known devices, learns what is different, and says how far to trust it."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from explorer.cli.main import app
from explorer.core.architecture import key_of
from explorer.core.errors import InputError
from explorer.core.front import kendall_tau
from explorer.core.work import FEATURES
from explorer.devices import LayerModel, Provenance, device_json, fit_space, load_device, read_measurements
from explorer.devices.few import fit_few, known_models, worth_measuring
from explorer.devices.kit import few_of_kit, write_kit
from explorer.spaces import SPACES

NOWHERE = Provenance(kind="measured")
HELP = {"titan_rtx_1": "titan-rtx-1", "titan_rtx_64": "gpu", "v100_1": "v100-1", "v100_64": "v100-64", "2080ti_64": ""}


def layers(space, codes):
    return [space.layers(row) for row in codes]


def within(device, space, codes, truth, share=0.1):
    return float((np.abs(device.cost(space, codes) / truth - 1) <= share).mean())


def test_a_mixture_of_known_devices_is_found(rng):
    space, (mobile, gpu) = SPACES["mobilenetv3-w1.0"], (load_device("mobile"), load_device("gpu"))
    codes = space.sample(312, rng)
    truth = 0.7 * mobile.cost(space, codes) + 2.0 * gpu.cost(space, codes)
    noisy = truth * np.exp(0.01 * rng.normal(size=len(truth)))
    found = fit_few("mine", layers(space, codes[:12]), noisy[:12], NOWHERE, known_models())
    assert within(found.device, space, codes[12:], truth[12:], 0.05) == 1
    assert found.device.provenance.error["mape"] < 0.03
    assert "starting from" in found.device.provenance.note
    assert sum(found.start.values()) == pytest.approx(1, abs=0.1)


def test_measurements_correct_what_no_known_device_has(rng):
    """Depthwise convolutions of seven are dear on this device alone; with more networks the fit learns that."""
    space, mobile = SPACES["mobilenetv3-w1.0"], load_device("mobile")
    dear = dict(mobile.weights)
    for feature in FEATURES:
        if feature.startswith("dw") and "k7" in feature:
            dear[feature] = 6 * dear.get(feature, 0.0) + 2e-6
    odd = LayerModel("odd", NOWHERE, dear)
    codes = space.sample(460, rng)
    truth = odd.cost(space, codes)
    few, more = (fit_few("mine", layers(space, codes[:n]), truth[:n], NOWHERE, known_models()) for n in (10, 160))
    off = [np.abs(f.device.cost(space, codes[160:]) / truth[160:] - 1).mean() for f in (few, more)]
    assert off[1] < 0.02
    assert off[1] < off[0]


def test_bad_measurements(rng):
    space = SPACES["mobile-32"]
    with pytest.raises(InputError, match="at least 10 different networks, not 9"):
        fit_few("mine", layers(space, np.resize(space.sample(9, rng), (20, 21))), np.ones(20), NOWHERE, known_models())
    with pytest.raises(InputError, match="no known device"):
        fit_few("mine", layers(space, space.sample(20, rng)), np.ones(20), NOWHERE, [])
    values = np.ones(20)
    values[2] = -1
    with pytest.raises(InputError, match="measurement 3 is -1"):
        fit_few("mine", layers(space, space.sample(20, rng)), values, NOWHERE, known_models())


def test_a_measurement_that_does_not_belong_is_named(rng):
    space = SPACES["mobile-32"]
    codes = space.sample(20, rng)
    latency = load_device("mobile").cost(space, codes)
    latency[3] *= 100
    assert fit_few("mine", layers(space, codes), latency, NOWHERE, known_models()).far == (4,)
    with pytest.raises(InputError, match="20 networks and latencies of shape"):
        fit_few("mine", layers(space, codes), latency[:15], NOWHERE, known_models())


def test_noise_has_no_small_error(rng):
    space = SPACES["mobile-32"]
    found = fit_few(
        "mine", layers(space, space.sample(30, rng)), np.exp(rng.normal(0, 0.5, 30)), NOWHERE, known_models()
    )
    assert found.device.provenance.error["mape"] > 0.25
    assert found.device.provenance.error["band"] > 0.5


def test_what_is_proposed_tells_more_than_chance(rng):
    """The proposed networks are different from those measured, and from each other."""
    space = SPACES["mobilenetv3-w1.0"]
    codes = space.sample(20, rng)
    proposed = worth_measuring(space, layers(space, codes), known_models(["mobile"]))
    assert len(set(proposed)) == 5
    assert not set(proposed) & {key_of(space, row) for row in codes}


@pytest.mark.parametrize("column", HELP)
def test_thirty_networks_are_worth_nine_hundred(column, reference):
    """Share within 10 % and rank correlation, median of five draws, each device held out of what the fit starts from."""
    space = SPACES["mobilenetv3-w1.2"]
    path = reference("help_ofa_gpu") / "ofa_gpu_latency_train.csv"
    codes, latency = read_measurements(path, space, f"latency_ms_{column}")
    order = np.random.default_rng(3).permutation(len(codes))
    train, rest = order[:900], order[900:1900]
    known = known_models([HELP[column]] if HELP[column] else [])
    fitted = [fit_space("many", space, codes[train], latency[train], NOWHERE)]
    for rows in train[:150].reshape(5, 30):
        fitted.append(fit_few("few", layers(space, codes[rows]), latency[rows], NOWHERE, known).device)
    share = [within(device, space, codes[rest], latency[rest]) for device in fitted]
    tau = [kendall_tau(device.cost(space, codes[rest]), latency[rest]) for device in fitted]
    assert np.median(share[1:]) >= min(0.9, share[0] - 0.02)
    assert np.median(tau[1:]) >= tau[0] - 0.02


def test_the_command_says_what_it_started_from(tmp_path, rng):
    space, out = SPACES["mobile-32"], tmp_path / "pi.json"
    codes = space.sample(15, rng)
    keys = [key_of(space, row) for row in codes]
    truth = 3 * load_device("mobile").cost(space, codes)
    pd.DataFrame({"key": keys, "latency_ms": truth}).to_csv(tmp_path / "m.csv", index=False)
    line = ["device", "fit", str(tmp_path / "m.csv"), "--space", "mobile-32", "--name", "pi", "--out", str(out)]
    said = CliRunner().invoke(app, line)
    assert said.exit_code == 0, said.output
    assert "15 networks are few, so the fit started from known devices: " in said.output
    assert "Measure next: " in said.output
    value = json.loads(CliRunner().invoke(app, [*line, "--json", "--without", "mobile"]).stdout)
    assert "mobile" not in value["start"]
    assert len(value["next"]) == 5
    assert device_json(load_device(str(out)))["name"] == "pi"


def test_a_device_that_is_not_known_cannot_be_left_out():
    with pytest.raises(InputError, match="unknown known device 'mobil'; choose from: cpu, "):
        known_models(["mobil"])


def test_a_kit_of_whole_networks_only(tmp_path):
    """Twelve graphs and the empty call; timings as a phone would have them make the phone."""
    space, phone = SPACES["mobile-32"], load_device("mobile")
    assert write_kit(["mobile-32"], [space], tmp_path / "kit", 12, whole=True) == 13
    kit = json.loads((tmp_path / "kit" / "kit.json").read_text())
    assert [graph["kind"] for graph in kit["graphs"]] == ["call", *["network"] * 12]
    codes = np.concatenate([space.sample(1, rng) for rng in [np.random.default_rng(0)] for _ in range(12)])
    times = [0.001, *phone.cost(space, codes)]
    timings = {"format": 1, "kind": "timings", "spaces": ["mobile-32"], "interpolates": False, "threads": 1,
               "graphs": [graph | {"ms": float(ms)} for graph, ms in zip(kit["graphs"], times)]}  # fmt: skip
    found = few_of_kit(timings, "pi", "timings.json")
    fresh = space.sample(200, np.random.default_rng(9))
    assert within(found.device, space, fresh, phone.cost(space, fresh), 0.02) == 1
    assert found.start == {"mobile": pytest.approx(1, abs=0.02)}
    with pytest.raises(InputError, match="networks = 5; a kit of whole networks has 10 to 299"):
        write_kit(["mobile-32"], [space], tmp_path / "few", 5, whole=True)
