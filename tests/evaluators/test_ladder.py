"""The tables that ship, and what is made of them."""

import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.core.front import kendall_tau
from explorer.evaluators import ladder
from explorer.plots import ladder_figure


def _write(folder, n=12):
    rng = np.random.default_rng(0)
    accuracy, macs = rng.random(n), rng.random(n)
    rows = [f"s,a{i:03},{m},{m / 10},0,{a},1" for i, (a, m) in enumerate(zip(accuracy, macs))]
    (folder / "truth.csv").write_text("\n".join(["space,key,macs_m,params_m,seed,accuracy,seconds", *rows]) + "\n")
    own = [f"s,a{i:03},right,{a},2.5" for i, a in reversed(list(enumerate(accuracy)))]
    own += [f"s,a{i:03},wrong,{-a},0.5" for i, a in enumerate(accuracy)]
    (folder / "scores.csv").write_text("\n".join(["space,key,rung,score,seconds", *own]) + "\n")
    return accuracy, macs


def test_scores_are_joined_by_key(tmp_path):
    accuracy, macs = _write(tmp_path)
    table = ladder("s", tmp_path)
    assert list(table.index) == ["MACs", "parameters", "right", "wrong"]
    assert table["tau"].tolist() == pytest.approx([kendall_tau(macs, accuracy)] * 2 + [1, -1])
    assert table["seconds"].tolist() == [0, 0, 2.5, 0.5]
    assert table.loc["right", "inside"] == pytest.approx(1)
    figure = ladder_figure(table, "s")
    assert list(figure.data[0].y) == table["tau"].tolist()
    assert list(figure.data[1].y) == table["inside"].tolist()
    assert min(figure.data[0].x) > 0  # the axis is logarithmic


def test_what_was_not_measured_is_named(tmp_path):
    with pytest.raises(InputError, match=r"truth.csv"):
        ladder("s", tmp_path)
    _write(tmp_path)
    with pytest.raises(InputError, match="choose from: s"):
        ladder("mobile-huge", tmp_path)


@pytest.mark.parametrize(("space", "least"), [("mobile-32", 60), ("nasbench201", 40), ("darts", 40)])
def test_the_shipped_tables_are_whole(space, least):
    table = ladder(space)
    assert table.loc["MACs", "networks"] >= least
    assert {"RWE", "bn", "all", "synflow", "naswot", "grad_norm"} <= set(table.index)
    assert np.isfinite(table[["tau", "lo", "hi", "inside"]].to_numpy()).all()
    assert (table["lo"] <= table["hi"]).all()
