import numpy as np

from explorer.devices import load_device
from explorer.supernets import build
from explorer.testing import check_space
from tests.benchmarks.transfer import MacroSpace, published


def test_a_space_of_ones_own_counts_as_published(reference):
    reference("nasbench_macro")
    space, table = MacroSpace(), published("nasbench_macro")
    check_space(space)
    codes = np.array([[int(c) for c in arch] for arch in table["arch"]], np.int8)
    assert np.allclose(load_device("macs_m").cost(space, codes) * 1e6, table["macs"])
    assert np.allclose(load_device("params_m").cost(space, codes) * 1e6, table["params"])
    assert sum(p.numel() for p in build(space.layers(codes[0])).parameters()) == table["params"].iloc[0]
