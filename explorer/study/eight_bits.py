"""Accuracies of a study in eight bits: which networks are measured, and the predictor that is fitted to them.

A recipe's `scores.eight_bits` measures them while a study is trained; `quantise` adds them to a finished one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from explorer.core.errors import InputError
from explorer.core.protocols import Progress, SearchSpace
from explorer.core.steps import has_steps
from explorer.devices import DEVICES, LayerDevice, load_device
from explorer.evaluators import Predictor, Scored, append_scores, spread_sample
from explorer.evaluators.lowered import fit_change
from explorer.evaluators.scoring import evaluate_one_by_one
from explorer.spaces import Space
from explorer.study.manifest import CHANGE_INT8, EVALUATIONS_INT8

if TYPE_CHECKING:
    from explorer.evaluators import SharedWeights

USUAL = ("cpu-int8", "ram_kb", "flash_kb")  # devices that price eight bits
SEARCHED = 3  # one measured network in so many lies on a searched front


def check_space(space: Space) -> None:
    """Check that the networks of a space can run in eight bits.

    Raises:
        InputError: they cannot.
    """
    if not has_steps(space.layers(space.sample(1, np.random.default_rng(0))[0])):
        raise InputError(
            f"networks of space {space.name!r} have no form in eight bits; those of the mobile, the lite and the "
            "unified family do"
        )


def priced_in_eight_bits(space: Space) -> list[LayerDevice]:
    """Return those devices of `USUAL` that price every network of a space."""
    some = space.sample(200, np.random.default_rng(0))
    found = [load_device(name) for name in USUAL]
    return [device for device in found if device.name in DEVICES or not device.outside(space, some)]


def networks_to_measure(
    space: SearchSpace, sampled: Scored, fronts: Sequence[np.ndarray], n: int, seed: int
) -> dict[str, np.ndarray]:
    """Choose networks to measure in eight bits, none of which the predictor was fitted to.

    Args:
        space: the search space.
        sampled: the evaluations of the study; those with the source "sample" are left out.
        fronts: codes (k, d) of searched fronts.
        n: number of networks.
        seed: seed of the study.

    Returns:
        Source ("sample" or "front") -> codes; a third lies on the fronts, the others are spread over the MACs.
    """
    macs, rng = load_device("macs_m"), np.random.default_rng((seed, 11))
    known = {row.tobytes() for row in sampled.codes[sampled.source == "sample"]}
    each = n // SEARCHED // max(1, len(fronts))
    along = [codes[np.unique(np.linspace(0, len(codes) - 1, each).round().astype(int))] for codes in fronts]
    drawn = spread_sample(space, n - sum(map(len, along)), lambda codes: macs.cost(space, codes), rng)
    empty = np.zeros((0, len(space.decisions)), np.int8)
    rows = {"sample": drawn, "front": np.concatenate([empty, *along])}
    return {source: codes[[row.tobytes() not in known for row in codes]] for source, codes in rows.items()}


def measure_in_eight_bits(
    out: Path, space: SearchSpace, predictor: Predictor, weights: SharedWeights, chosen: dict[str, np.ndarray],
    progress: Progress,
) -> None:  # fmt: skip
    """Write the accuracies of networks in eight bits, and the predictor that is fitted to them; resumes both."""
    from explorer.evaluators import EightBitWeights

    if (out / CHANGE_INT8).exists():
        return
    for source, codes in chosen.items():
        found = append_scores(out / EVALUATIONS_INT8, space, codes, EightBitWeights(weights), source, progress)
    full = evaluate_one_by_one(weights, found.codes, progress)
    fit_change(predictor, found, full).save(out / CHANGE_INT8)
