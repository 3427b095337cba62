import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.core.front import kendall_tau
from explorer.core.operators import MBConv
from explorer.devices import Provenance, fit_layer_model, fit_space, load_device, read_blocks, read_measurements
from explorer.devices.features import FEATURES, design, features
from explorer.devices.fit import error_of, solve
from explorer.spaces import SPACES

NOWHERE = Provenance(kind="modelled", source="a test")


def test_features_add_up_and_price_a_network(rng):
    space = SPACES["mobile-32"]
    layers = space.layers(space.sample(1, rng)[0])
    assert np.allclose(design([layers])[0], sum(features(layer) for layer in layers))
    assert (features(layers[3]) >= 0).all()
    assert len(set(FEATURES)) == len(FEATURES)
    with pytest.raises(InputError, match="k9 s1"):
        features(MBConv(8, 8, 8, 9, 1, mid=16))


def test_a_device_that_is_such_a_sum_is_found_again(rng):
    space = SPACES["mobile-32"]
    truth = load_device("gpu")
    codes = space.sample(300, rng)
    fitted = fit_space("mine", space, codes, truth.cost(space, codes), NOWHERE)
    fresh = space.sample(200, rng)
    assert error_of(fitted.cost(space, fresh), truth.cost(space, fresh))["mape"] < 1e-3
    assert fitted.provenance.error["mape"] < 1e-3
    assert fitted.outside(space, codes[:5]) == ""


def test_the_error_is_that_of_rows_left_out(rng):
    """Measurements that follow nothing are not predicted, however many weights there are."""
    space = SPACES["mobile-32"]
    noise = np.exp(rng.normal(0, 0.5, 60))
    fitted = fit_space("mine", space, space.sample(60, rng), noise, NOWHERE)
    assert fitted.provenance.error["mape"] > 0.3
    assert abs(fitted.provenance.error["kendall_tau"]) < 0.5


def test_bad_measurements(rng):
    space = SPACES["mobile-32"]
    with pytest.raises(InputError, match="at least 30 measurements"):
        fit_space("mine", space, space.sample(29, rng), np.ones(29), NOWHERE)
    values = np.ones(40)
    values[7] = np.nan
    with pytest.raises(InputError, match="measurement 8 is nan"):
        fit_space("mine", space, space.sample(40, rng), values, NOWHERE)


def test_too_few_different_networks(rng):
    """Thirty rows of one network, or of fewer networks than there are weights, do not say what a layer costs."""
    space = SPACES["mobile-32"]
    for different in (1, 12):
        codes = np.resize(space.sample(different, rng), (60, len(space.decisions)))
        with pytest.raises(InputError, match=rf"60 measurements are of {different} different network.* at least \d\d"):
            fit_space("mine", space, codes, 1 + rng.random(60), NOWHERE)


def test_the_phone_on_blocks_that_no_fit_has_seen(reference):
    blocks = read_blocks(reference("ofa_note10"))
    layers, ms = [b.layers[:1] for b in blocks], np.array([b.latency_ms for b in blocks])
    fitted = fit_layer_model("phone", layers, ms, NOWHERE)
    print(fitted.provenance.error)
    assert fitted.provenance.error["mape"] <= 0.02
    x = design(layers)
    for width in (32, 48, 96, 136, 192):  # whole channel widths left out: reported, and bounded against nonsense
        out = np.array([layer.op == "mbconv" and width in (layer.cin, layer.cout) for (layer,) in layers])
        error = error_of(x[out] @ solve(x[~out], ms[~out]), ms[out])
        print(width, error)
        assert error["kendall_tau"] > 0.8
    shipped = load_device("mobile")
    assert np.allclose([shipped.price(layer) for (layer,) in layers], x @ solve(x, ms), rtol=1e-5)


@pytest.mark.parametrize(
    ("column", "least"), [("titan_rtx_1", 0.72), ("titan_rtx_64", 0.965), ("v100_1", 0.72), ("v100_64", 0.965)]
)
def test_gpus_on_networks_that_no_fit_has_seen(reference, column, least):
    space = SPACES["mobilenetv3-w1.2"]
    path = reference("help_ofa_gpu") / "ofa_gpu_latency_train.csv"
    codes, ms = read_measurements(path, space, f"latency_ms_{column}")
    fitted = fit_space("gpu", space, codes, ms, NOWHERE)
    macs = kendall_tau(load_device("macs_m").cost(space, codes), ms)
    print(column, fitted.provenance.error, "MACs alone", round(macs, 3))
    assert fitted.provenance.error["kendall_tau"] >= least > macs - 0.02
    name = {"titan_rtx_64": "gpu"}.get(column, column.replace("_", "-"))
    assert np.allclose(load_device(name).cost(space, codes), fitted.cost(space, codes), rtol=1e-5)
