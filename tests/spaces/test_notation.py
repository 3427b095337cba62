"""Architectures in the notations of other projects."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.spaces import SPACES, read_architecture
from explorer.spaces.cell import EDGES, OPERATIONS

DARTS, CELL, OFA = SPACES["darts"], SPACES["nasbench201"], SPACES["mobilenetv3-w1.0"]
# the normal and reduction cell of the paper (DARTS_V2), written down from its table
GENOTYPE = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1), "
    "('sep_conv_3x3', 1), ('skip_connect', 0), ('skip_connect', 0), ('dil_conv_3x3', 2)], normal_concat=[2, 3, 4, 5], "
    "reduce=[('max_pool_3x3', 0), ('max_pool_3x3', 1), ('skip_connect', 2), ('max_pool_3x3', 1), ('max_pool_3x3', 0), "
    "('skip_connect', 2), ('skip_connect', 2), ('max_pool_3x3', 1)], reduce_concat=range(2, 6))"
)
TUPLES = (
    "(((0, 3), (1, 3), (0, 3), (1, 3), (1, 3), (0, 2), (0, 2), (2, 5)), "
    "((0, 0), (1, 0), (2, 2), (1, 0), (0, 0), (2, 2), (2, 2), (1, 0)))"
)
TABLE = "0-3 1-3 0-3 1-3 1-3 0-2 0-2 2-5|0-0 1-0 2-2 1-0 0-0 2-2 2-2 1-0"


def test_one_cell_in_four_notations():
    a = DARTS.from_string(GENOTYPE)
    assert a.values["normal.2.op1"] == a.values["normal.2.op2"] == "sep_3"
    assert (a.values["normal.5.input2"], a.values["normal.5.op2"]) == (2, "dil_3")
    assert (a.values["reduce.3.input1"], a.values["reduce.3.op1"]) == (1, "max_3")
    texts = [
        GENOTYPE,
        f"DARTS_V2 = {GENOTYPE}",
        TUPLES,
        TUPLES.replace("(", "[").replace(")", "]"),
        TABLE,
        f" {a.key}\n",
    ]
    assert {read_architecture(DARTS, text).key for text in texts} == {a.key}


def test_every_cell_of_the_benchmarks_table_is_read(reference):
    """The table's notation and its numbering: parameters agree with those that the source counted."""
    space = replace(DARTS.for_images(3, 10, 32), width=32)
    with open(reference("nasbench301") / "nb301_train.csv") as file:
        rows = list(csv.DictReader(file))[:100]
    ours = [sum(x.params() for x in space.layers(space.from_string(f"{r['normal']}|{r['reduce']}"))) for r in rows]
    assert np.corrcoef(ours, [float(r["params_m"]) for r in rows])[0, 1] > 0.9999


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GENOTYPE.replace("dil_conv_3x3", "none"), "operation 'none'; choose from: skip_connect, sep_conv_3x3"),
        (GENOTYPE.replace("('dil_conv_3x3', 2)", "('dil_conv_3x3', 5)"), "node 5 reads input '5'; choose from 0 to 4"),
        (GENOTYPE.replace("('dil_conv_3x3', 2)", ""), "the normal cell has 7 edges; expected 8"),
        (GENOTYPE.replace("[2, 3, 4, 5]", "[4, 5]"), r"join nodes \[4, 5\]; expected \[2, 3, 4, 5\]"),
        (GENOTYPE.replace("range(2, 6)", "range(3, 6)"), r"join nodes \[3, 4, 5\]"),
        ("Genotype(normal=__import__('os').getcwd(), reduce=[])", "Genotype.*NASLib's.*NAS-Bench-301"),
        ("Genotype(", "is not in a form that is read"), ("((0, 3), (1, 3))", "is not an edge|edges; expected 8"),
        (TUPLES.replace("(2, 5)", "(2, 9)"), "operation '9'"), ("0-3 1-3|0-0", "the normal cell has 2 edges"),
        ("a12", "is not a key of space 'darts'"), ("hello world", "is not in a form that is read"),
    ],
)  # fmt: skip
def test_what_the_space_does_not_have_is_named(text, words):
    with pytest.raises(InputError, match=words) as error:
        read_architecture(DARTS, text)
    assert "\n" not in str(error.value)


def test_naslibs_six_numbers():
    """NASLib counts edges by their source, the benchmark's strings by their end; operations have another order, too."""
    a = read_architecture(CELL, "(2, 3, 4, 0, 1, 2)")
    chosen = {edge: OPERATIONS[c] for edge, c in zip(EDGES, a.choices)}
    assert a == CELL.from_string(
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|avg_pool_3x3~0|none~1|nor_conv_3x3~2|"
    )
    assert chosen[3, 2] == "nor_conv_3x3"
    for bad in ("(2, 3, 4, 0, 1)", "(2, 3, 4, 0, 1, 7)", "|x~0|"):
        with pytest.raises(InputError, match="NASLib's six numbers"):
            read_architecture(CELL, bad)


def test_once_for_alls_dict_as_text():
    a = OFA.from_ofa({"d": [2] * 5, "ks": [3] * 20, "e": [6] * 20, "r": 192})
    assert read_architecture(OFA, json.dumps(OFA.to_ofa(a))) == a
    for bad in ('{"ks": [3]}', "{", '{"d": 1, "ks": [3], "e": [3]}'):
        with pytest.raises(InputError):
            read_architecture(OFA, bad)
    with pytest.raises(InputError, match="or once-for-all's dict"):
        read_architecture(OFA, "MobileNetV3(ks=3)")
