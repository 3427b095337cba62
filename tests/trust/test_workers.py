"""Work in processes and on a Dask cluster: the same results, and nothing lost with a worker."""

import os
import signal
import time

import joblib
import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.core.parallel import map_in_workers
from explorer.evaluators import RandomWeights, TrainedAlone, append_scores, read_scores
from explorer.supernets import TrainConfig
from explorer.testing import check_evaluator
from tests.trust.reliability import TRIED

SMALL = {"seeds": 1, "train_images": 200, "val_images": 200}


def _slowly(x, file):
    """Kills its own process the first time that 3 comes along."""
    if x == 3 and not file.exists():
        file.touch()
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * x


def test_results_come_in_order_whoever_computes_them(tmp_path):
    file = tmp_path / "killed"
    file.touch()
    items = list(range(8))
    assert (
        list(map_in_workers(_slowly, items, file))
        == list(map_in_workers(_slowly, items, file, jobs=2))
        == [10 * x for x in items]
    )


def test_a_killed_process_is_said_in_one_line(tmp_path):
    TRIED["workers"] += 1
    with pytest.raises(InputError, match="worker process was killed.*run the same again"):
        list(map_in_workers(_slowly, list(range(8)), tmp_path / "killed", jobs=2))
    assert list(map_in_workers(_slowly, list(range(8)), tmp_path / "killed", jobs=2)) == [10 * x for x in range(8)]


def test_scores_are_the_same_in_processes_and_a_killed_one_loses_none(quick_study, tmp_path):
    codes = quick_study.space.sample(6, np.random.default_rng(3))
    evaluator = quick_study.measured.evaluator("val")
    alone = append_scores(tmp_path / "alone.csv", quick_study.space, codes, evaluator, "sample")
    with joblib.parallel_config(n_jobs=2):
        append_scores(tmp_path / "two.csv", quick_study.space, codes, evaluator, "sample")
    assert (tmp_path / "two.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    TRIED["workers"] += 1
    dies = _Dies(evaluator, len(alone.codes) - 2, tmp_path / "died")
    with joblib.parallel_config(n_jobs=2), pytest.raises(InputError, match="run the same again"):
        append_scores(tmp_path / "killed.csv", quick_study.space, codes, dies, "sample")
    kept = read_scores(tmp_path / "killed.csv", quick_study.space)
    with joblib.parallel_config(n_jobs=2):
        append_scores(tmp_path / "killed.csv", quick_study.space, codes, dies, "sample")
    assert (tmp_path / "killed.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert len(kept.codes) < len(alone.codes)


def test_networks_trained_alone_are_the_same_in_processes_and_on_disk(quick_study, tmp_path):
    space, images = quick_study.space, quick_study.images
    codes = space.sample(3, np.random.default_rng(5))
    judge = TrainedAlone(space, images, TrainConfig(epochs=4, batch=64, lr=0.1))
    check_evaluator(judge, space, 2)
    alone = judge.evaluate([*codes, codes[0]])
    assert alone[0] == alone[3]
    assert alone.min() > 0.2
    with joblib.parallel_config(n_jobs=2):
        kept = append_scores(tmp_path / "alone.csv", space, codes, judge, "alone")
    assert sorted(kept.accuracy) == pytest.approx(sorted(alone[:3]), abs=1e-6)


class _Dies:
    """An evaluator whose process is killed once, at the n-th network."""

    def __init__(self, evaluator, n, file):
        self.evaluator, self.n, self.file, self.row = evaluator, n, file, None

    def evaluate(self, codes):
        with open(f"{self.file}.count", "a+") as count:
            count.write("x")
            count.seek(0)
            turn = len(count.read())
        if turn > self.n and not self.file.exists():
            self.file.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.evaluator.evaluate(codes)


@pytest.fixture(scope="module")
def cluster():
    """Two worker processes on this machine."""
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as found,
        distributed.Client(found) as client,
    ):
        yield client


def test_a_dask_cluster_gives_the_same_scores(cluster, quick_study):
    digits = quick_study.images
    codes = quick_study.space.sample(4, np.random.default_rng(0))
    alone = RandomWeights(quick_study.space, digits, **SMALL).evaluate(codes)
    trained = TrainedAlone(quick_study.space, digits, TrainConfig(epochs=0.5, batch=64, lr=0.1))
    by_itself = trained.evaluate(codes[:2])
    with joblib.parallel_config("dask"):
        assert (RandomWeights(quick_study.space, digits, **SMALL).evaluate(codes) == alone).all()
        assert (trained.evaluate(codes[:2]) == by_itself).all()


def test_a_killed_dask_worker_loses_nothing(cluster, tmp_path):
    TRIED["workers"] += 1
    with joblib.parallel_config("dask"):
        assert list(map_in_workers(_slowly, list(range(12)), tmp_path / "killed")) == [10 * x for x in range(12)]
    assert (tmp_path / "killed").exists()
