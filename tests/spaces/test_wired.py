"""Spaces of two wired cells: NAS-Bench-301's rules and published counts, NSGA-Net's loose nodes."""

import csv

import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.core.operators import AvgPool, Conv, Factorized, MaxPool, Norm
from explorer.devices import load_device
from explorer.spaces import SPACES

SPACE, MICRO = SPACES["nasbench301"], SPACES["nsganet-micro"]
CELL = "0-0 1-0 1-0 2-6 0-4 1-6 4-0 0-4"  # the normal cell of the benchmark's first row
HALF = "0-0 1-0 0-0 1-0 0-0 1-0 0-0 1-0"


@pytest.fixture(scope="module")
def published(reference):
    """The rows of the benchmark, and their architectures."""
    with open(reference("nasbench301") / "nb301_train.csv") as file:
        rows = list(csv.DictReader(file))
    return rows, [SPACE.from_string(f"{row['normal']}|{row['reduce']}") for row in rows]


def test_parameters_are_the_published_ones(published):
    rows, found = published
    counted = load_device("params_m").cost(SPACE, np.array([a.choices for a in found], np.int8))
    assert np.abs(counted - [float(row["params_m"]) for row in rows]).max() < 1e-9


def test_published_operations_are_ours_with_those_of_norms_activations_and_pools(published):
    """The source counts them all (one a value; a pool nine), so that the rest is the same for every cell: the ends."""
    left = []
    for row, architecture in zip(*published):
        total = 0
        for layer in SPACE.layers(architecture):
            total += layer.macs()
            if getattr(layer, "before", "none") == "relu":
                total += layer.cin * layer.size**2
            if isinstance(layer, Norm) or (isinstance(layer, Conv | Factorized) and not layer.affine):
                total += layer.cout * layer.size_out**2
            if isinstance(layer, AvgPool | MaxPool):
                total += 9 * layer.cout * layer.size_out**2
        left.append(round(float(row["macs_m"]) * 1e6 - total))
    assert len(set(left)) == 1


def test_it_has_as_many_networks_as_the_benchmark_says():
    assert SPACE.size == (3 * 6 * 10 * 7**8) ** 2  # "over 10^18"


def test_edges_may_come_in_any_order_but_not_from_one_input():
    turned = " ".join(" ".join(reversed(CELL.split()[i : i + 2])) for i in range(0, 8, 2))
    assert SPACE.from_string(f"{CELL}|{HALF}") == SPACE.from_string(f"{turned}|{HALF}")
    with pytest.raises(InputError, match="both edges of node 3 of the reduction cell read input 1"):
        SPACE.from_string(f"{CELL}|{HALF.replace('0-0 1-0 0-0', '0-0 1-0 1-0', 1)}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0-0", "is not in a form that is read"),
        (f"{CELL}|{HALF[:-4]}", "the reduction cell has 7 edges; expected 8"),
        (f"{CELL}|{HALF[:-3]}9-0", "reads input '9'; choose from 0 to 4"),
        (f"{CELL}|{HALF[:-3]}1-8", "operation '8'; choose from"),
    ],
)
def test_other_texts_are_refused(text, said):
    with pytest.raises(InputError, match=said):
        SPACE.from_string(text)


def test_inputs_of_a_node_differ_and_pools_are_normed(rng):
    for row in SPACE.sample(20, rng):
        layers = SPACE.layers(row)
        for cell in SPACE.cells(row.tolist()):
            assert all(first[0] < second[0] for first, second in cell.edges)
        normed = {layer.inputs[0] for layer in layers if isinstance(layer, Norm)}
        assert normed == {layer.name for layer in layers if isinstance(layer, AvgPool | MaxPool)}
        assert {layer.affine for layer in layers if isinstance(layer, Norm)} <= {False}


def test_only_nodes_that_no_other_reads_are_joined(rng):
    """NSGA-Net: the output of a cell is as wide as its loose nodes."""
    seen = set()
    for row in MICRO.sample(30, rng):
        cells = MICRO.cells(row.tolist())
        for layer in MICRO.layers(row):
            if layer.op == "concat":
                cell = cells[layer.name in ("stage2.3.out", "stage3.6.out")]
                read = {source for edges in cell.edges for source, _ in edges}
                assert set(cell.joined) == set(range(2, 7)) - read
                assert len(layer.inputs) == len(cell.joined) == layer.joins
                seen.add(layer.joins)
    assert len(seen) >= 3
