import numpy as np
import pytest

from explorer.evaluators.recall import recognised


def test_a_rare_class_that_is_never_named_shows():
    """95 % accuracy can be the largest class alone."""
    labels = np.array([0] * 57 + [1] * 3)
    found = recognised(np.zeros(60, int), labels, ["many", "rare"])
    assert found.accuracy == found.majority == 0.95
    assert found.balanced == 0.5
    assert found.recall == {"many": 1.0, "rare": 0.0}


def test_a_class_without_images_has_no_recall():
    found = recognised(np.array([0, 1, 1]), np.array([0, 0, 1]), ["a", "b", "none"])
    assert set(found.recall) == {"a", "b"}
    assert found.balanced == pytest.approx(0.75)
