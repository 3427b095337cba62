import csv

import numpy as np
import pytest

from explorer.core.architecture import Architecture
from explorer.core.errors import InputError
from explorer.devices import load_device
from explorer.spaces import SPACES
from explorer.spaces.operators import option_counts, unique


def test_presets_have_the_promised_sizes():
    tiny = SPACES["mobile-tiny"]
    assert tiny.size <= 5000
    assert len(unique(tiny.enumerate())) == tiny.size
    assert SPACES["mobile-32"].size >= 10**6
    for name in ("mobilenetv3-w1.0", "mobilenetv3-w1.2"):
        assert SPACES[name].restrict({"r": (224,)}).size == 7371**5
        assert SPACES[name].decisions["r"] == tuple(range(128, 225, 4))


def test_mobile_32_spans_eight_times_in_macs():
    space = SPACES["mobile-32"].for_images(1, 10, 28)
    ends = np.array([np.zeros(len(space.decisions)), option_counts(space) - 1], np.int8)
    low, high = load_device("macs_m").cost(space, ends)
    assert high / low >= 8


def test_decision_names():
    assert list(SPACES["mobile-tiny"].decisions) == [
        "d1", "d2", "k1.1", "k1.2", "k2.1", "k2.2", "e1.1", "e1.2", "e2.1", "e2.2",
    ]  # fmt: skip


def _ofa(row):
    config = {name: [int(x) for x in row[name].split("-")] for name in ("ks", "e", "d")}
    return config | {"r": int(row.get("resolution", 224))}


def test_counts_equal_every_row_of_the_imagenet_reference(reference):
    space = SPACES["mobilenetv3-w1.0"]
    rows = list(csv.DictReader(open(reference("ofa_imagenet/ofa_w1.0_top1_train.csv"))))
    codes = np.array([space.from_ofa(_ofa(row)).choices for row in rows], np.int8)
    for name in ("macs_m", "params_m"):
        expected = np.array([float(row[name]) for row in rows])
        assert np.allclose(load_device(name).cost(space, codes), expected, rtol=0, atol=1e-6)


def test_counts_of_the_published_pnag_networks(reference):
    space = SPACES["mobilenetv3-w1.2"]
    for row in csv.DictReader(open(reference("pnag_published.csv"))):
        layers = space.layers(space.from_ofa(_ofa(row)))
        counted = sum(layer.macs() for layer in layers if layer.op != "linear") / 1e6
        assert abs(counted - float(row["macs_m"])) < 1, row["name"]


def test_once_for_all_notation_reads_back(rng):
    space = SPACES["mobilenetv3-w1.0"]
    for row in space.sample(20, rng):
        a = Architecture(space, row)
        assert space.from_ofa(space.to_ofa(a)) == a
        noisy = space.to_ofa(a)
        noisy["ks"] = [k or 7 for k in noisy["ks"]]
        assert space.from_ofa(noisy | {"r": [noisy["r"]]}) == a


@pytest.mark.parametrize(
    ("change", "word"),
    [({"ks": [9] * 20}, "9"), ({"d": [2, 2]}, "list of 5"), ({"r": 225}, "225"), ({"e": None}, "'e'")],
)
def test_bad_once_for_all_input_is_named(change, word):
    space = SPACES["mobilenetv3-w1.0"]
    good = {"ks": [3] * 20, "e": [4] * 20, "d": [2] * 5, "r": 192}
    with pytest.raises(InputError, match=word):
        space.from_ofa(good | change)


def test_restrict_narrows_and_refuses():
    space = SPACES["mobilenetv3-w1.2"].restrict({"r": (160, 192, 224), "k": (3, 5)})
    assert space.decisions["r"] == (160, 192, 224)
    assert space.decisions["k3.2"] == (3, 5)
    with pytest.raises(InputError, match="unknown decision 'q'"):
        space.restrict({"q": (1,)})
    with pytest.raises(InputError, match="7"):
        space.restrict({"k1.1": (7,)})


def test_bad_codes_name_the_decision():
    space = SPACES["mobile-tiny"]
    with pytest.raises(InputError, match="'k1.1' has no option 5"):
        Architecture(space, [0, 0, 5, 0, 0, 0, 0, 0, 0, 0])
    with pytest.raises(InputError, match="not a key"):
        Architecture.from_key(space, "a00")


def test_unknown_space_lists_the_known_ones():
    with pytest.raises(InputError, match="mobile-32"):
        SPACES["mobil"]
