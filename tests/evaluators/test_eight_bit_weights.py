"""Accuracy in eight bits is that of the exported file."""

import json

import numpy as np
import pytest

import explorer
from explorer.core.errors import InputError
from explorer.evaluators import EightBitWeights, SharedWeights
from explorer.spaces import SPACES
from explorer.testing import check_evaluator


@pytest.fixture(scope="module")
def judge(digits_study):
    return EightBitWeights(digits_study.measured.evaluator("test"))


def test_it_conforms(judge, digits_study):
    check_evaluator(judge, digits_study.space, 2)


def test_it_is_the_accuracy_of_the_exported_file(judge, digits_study, tmp_path):
    candidate = digits_study.generate({"cpu": 0.02})
    bundle = explorer.export(digits_study, candidate, tmp_path / "out", ["int8"])
    found = judge.evaluate(np.array([candidate.architecture.choices], np.int8))[0]
    assert bundle.formats["int8"]["test_accuracy"] == pytest.approx(found)
    assert json.loads(bundle.files["card"].read_text())["formats"]["int8"]["drop"] < 2


def test_eight_bits_cost_little(judge, digits_study):
    codes = digits_study.space.sample(4, np.random.default_rng(2))
    whole = SharedWeights(digits_study.supernet, digits_study.images, "test").evaluate(codes)
    assert abs(100 * (whole - judge.evaluate(codes)).mean()) < 1


def test_networks_without_a_form_in_eight_bits_are_refused(digits_study):
    from explorer.core.steps import has_steps, steps_of

    layers = SPACES["darts"].layers(SPACES["darts"].sample(1, np.random.default_rng(0))[0])
    assert not has_steps(layers)
    with pytest.raises(InputError, match="no form for eight-bit runtimes; choose a network of the mobile"):
        steps_of(layers)
