import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.core.front import hypervolume, make_front
from explorer.devices import load_device
from explorer.devices.population import dearest
from explorer.searches import ALGORITHMS, search
from explorer.searches.archive import TRIED, hashes
from explorer.spaces import SPACES
from explorer.spaces.operators import one_hot


class Synthetic:
    """A smooth accuracy on any space."""

    def __init__(self, space):
        self.space = space
        self.weights = np.random.default_rng(0).uniform(
            0, 1, one_hot(space, space.sample(1, np.random.default_rng(0))).shape[1]
        )

    def evaluate(self, codes):
        return 1 - np.exp(-one_hot(self.space, codes) @ self.weights / 8)


class Counting(Synthetic):
    """It counts what it is asked, and may be interrupted."""

    def __init__(self, space, stop=None):
        super().__init__(space)
        self.asked, self.stop = 0, stop

    def evaluate(self, codes):
        self.asked += len(codes)
        if self.stop is not None and self.asked > self.stop:
            raise KeyboardInterrupt
        return super().evaluate(codes)


@pytest.mark.parametrize("devices", [["mobile"], ["mobile", "params_m"]])
def test_search_finds_the_whole_front_of_an_enumerable_space(devices):
    space = SPACES["mobile-tiny"]
    targets = [load_device(name) for name in devices]
    evaluator = Synthetic(space)
    codes = space.enumerate()
    costs = np.column_stack([t.cost(space, codes) for t in targets])
    truth = make_front(space, codes, evaluator.evaluate(codes), costs, devices)
    found = search(space, evaluator, targets, evaluations=space.size, seed=0)
    assert np.allclose(found.accuracy, truth.accuracy)
    assert np.allclose(found.costs, truth.costs)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_search_keeps_its_count_and_is_reproducible(algorithm):
    space = SPACES["mobile-32"]
    first, again = (search(space, Synthetic(space), [load_device("gpu")], algorithm, 3000, seed=4) for _ in range(2))
    assert (first.codes == again.codes).all()
    assert first.evaluations <= 3000
    assert first.hypervolume > 0
    costs = [c.costs["gpu"] for c in first]
    assert costs == sorted(costs)


def test_memetic_beats_random():
    space = SPACES["mobile-32"]
    runs = {a: search(space, Synthetic(space), [load_device("mobile")], a, 5000) for a in ALGORITHMS}
    reference = np.maximum(runs["memetic"].reference, runs["random"].reference)
    from explorer.core.front import hypervolume

    volume = {a: hypervolume(f.accuracy, f.costs, reference) for a, f in runs.items()}
    assert volume["memetic"] > 1.01 * volume["random"]


@pytest.mark.parametrize("evaluations", [200, 500, 5000])
def test_no_search_is_below_chance_and_all_use_what_they_may(evaluations):
    """Few evaluations, too: where there is one run per budget, each has to evolve."""
    space, mobile = SPACES["mobilenetv3-w1.0"], load_device("mobile")
    runs = {a: search(space, Synthetic(space), [mobile], a, evaluations) for a in ALGORITHMS}
    corner = np.max([front.reference for front in runs.values()], 0)
    volume = {name: hypervolume(front.accuracy, front.costs, corner) for name, front in runs.items()}
    assert min(volume, key=volume.get) == "random"
    for name, front in runs.items():
        assert front.evaluations >= 0.97 * evaluations, name


def test_one_run_per_budget_reaches_the_dear_end():
    """Budgets end at the dearest network, not at the dearest of some random ones, which lie in the middle."""
    space, mobile = SPACES["mobilenetv3-w1.0"], load_device("mobile")
    top = float(mobile.cost(space, dearest(space, mobile)[None])[0])

    class Dearer:
        def evaluate(self, codes):
            return mobile.cost(space, codes) / (2 * top)

    found = search(space, Dearer(), [mobile], "constrained", 2000)
    assert found.costs.max() > 0.9 * top


def test_bad_requests():
    space = SPACES["mobile-tiny"]
    with pytest.raises(InputError, match="unknown algorithm 'nsga9'"):
        search(space, Synthetic(space), [load_device("gpu")], "nsga9")
    with pytest.raises(InputError, match="at least one device"):
        search(space, Synthetic(space), [])


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_a_stopped_search_goes_on_to_the_same_front(algorithm, tmp_path):
    space = SPACES["mobile-32"]
    devices = [load_device("gpu"), load_device("mobile")]
    counting = Counting(space)
    whole = search(space, counting, devices, algorithm, 2500, seed=3)
    file = tmp_path / "search.npz"
    with pytest.raises(KeyboardInterrupt):
        search(space, Counting(space, stop=1200), devices, algorithm, 2500, seed=3, file=file)
    rest = Counting(space)
    resumed = search(space, rest, devices, algorithm, 2500, seed=3, file=file)
    assert rest.asked < counting.asked - 1000
    assert (resumed.codes == whole.codes).all()
    assert resumed.hypervolume == whole.hypervolume
    with pytest.raises(InputError, match="belongs to another search"):
        search(space, rest, devices, algorithm, 2500, seed=4, file=file)
    idle = Counting(space, stop=100)
    again = search(space, idle, devices, algorithm, 2500, seed=3, file=file)
    assert idle.asked == TRIED, "some are tried, to see that the evaluator is the same"
    assert (again.codes == whole.codes).all()


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_budgets_bind_every_algorithm(algorithm):
    space = SPACES["mobile-32"]
    devices = [load_device("gpu"), load_device("mobile")]
    costs = devices[1].cost(space, space.sample(200, np.random.default_rng(0)))
    limit = float(np.quantile(costs, 0.2))
    front = search(space, Synthetic(space), devices, algorithm, 3000, budgets={"mobile": limit})
    assert len(front)
    assert front.costs[:, 1].max() <= limit


def test_an_unreachable_budget_ends_at_once_with_the_nearest():
    space = SPACES["mobile-32"]
    with pytest.raises(InputError, match=r"budget gpu 1e-05 ms is not reachable; the nearest .* has gpu 0\.\d+ ms"):
        search(space, Synthetic(space), [load_device("gpu")], budgets={"gpu": 1e-5})
    with pytest.raises(InputError, match="unknown device of a budget 'cpu'"):
        search(space, Synthetic(space), [load_device("gpu")], budgets={"cpu": 1})


def test_patience_ends_a_search_that_stands_still():
    space = SPACES["mobile-tiny"]
    front = search(space, Synthetic(space), [load_device("gpu")], "nsga2", 100_000, patience=300)
    assert front.evaluations < space.size


def test_a_damaged_file_is_refused(tmp_path):
    space, file = SPACES["mobile-tiny"], tmp_path / "search.npz"
    file.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(InputError, match="not a saved search"):
        search(space, Synthetic(space), [load_device("gpu")], "random", 100, file=file)


def test_hashes_tell_networks_apart():
    codes = SPACES["mobilenetv3-w1.2"].sample(200_000, np.random.default_rng(0))
    assert len(np.unique(hashes(codes))) == len(np.unique(codes, axis=0))


def test_a_saved_search_is_not_another_evaluators_or_devices(tmp_path):
    space, file = SPACES["mobile-tiny"], tmp_path / "found.npz"

    class Says:
        def __init__(self, value):
            self.value = value

        def evaluate(self, codes):
            return np.full(len(codes), self.value)

    device = load_device("macs_m")
    search(space, Says(0.9), [device], evaluations=50, file=file)
    with pytest.raises(InputError, match="the accuracies of its networks have changed"):
        search(space, Says(0.1), [device], evaluations=100, file=file)

    class Other:
        name, unit = "macs_m", "M"

        def cost(self, space, codes):
            return 2 * device.cost(space, codes)

    with pytest.raises(InputError, match="the costs of its networks have changed"):
        search(space, Says(0.9), [Other()], evaluations=100, file=file)


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_a_tight_budget_that_can_be_met_is_met(algorithm, digits_study):
    low, _ = digits_study.budget_range("mobile")
    front = digits_study.search(algorithm, ["mobile"], evaluations=200, budgets={"mobile": 1.0001 * low})
    assert len(front)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
@pytest.mark.parametrize("evaluations", [7, 101, 2500])
def test_the_evaluator_is_never_asked_more_than_allowed(algorithm, evaluations, tmp_path):
    """Whatever an algorithm repeats: no network is evaluated twice, also with a file of results and after a stop."""
    space, device = SPACES["mobile-32"], load_device("macs_m")
    for file in (None, tmp_path / "search.npz"):
        evaluator = Counting(space)
        front = search(space, evaluator, [device], algorithm, evaluations, seed=1, file=file)
        assert evaluator.asked == front.evaluations <= evaluations
    again = Counting(space)
    search(space, again, [device], algorithm, evaluations, seed=1, file=tmp_path / "search.npz")
    assert again.asked <= min(TRIED, evaluations)


@pytest.mark.parametrize("algorithm", list(ALGORITHMS))
def test_networks_without_a_price_are_left_out_of_every_search(algorithm):
    space, device = SPACES["mobile-tiny"], Partial()
    front = search(space, Synthetic(space), [device, load_device("macs_m")], algorithm, 300)
    assert len(front) > 3
    assert np.isfinite(front.costs).all()
    assert (front.codes[:, 0] == 0).all()
    assert np.isfinite(front.hypervolume)


class Partial:
    """A device that has a price for networks with the first option of the first decision only."""

    name, unit = "partial", "ms"

    def cost(self, space, codes):
        return np.where(codes[:, 0] == 0, 1.0 + codes.sum(1), np.nan)
