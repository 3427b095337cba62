"""How eight bits change accuracies: fitted to few measured networks, added to a predictor for float32. No torch.

The change is small and nearly a sum over the choices, so it is a linear function of them (ridge regression, with a
strength that is chosen by cross-validation and may be so large that only the mean is left). The band is that of
networks that neither the predictor nor the fit has seen (cross-conformal, as in `predictor`).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from pydantic import Field, FiniteFloat, field_validator

from explorer.core.config import Settings, parse
from explorer.core.errors import InputError
from explorer.core.files import read_json, write_json
from explorer.core.front import kendall_tau
from explorer.core.protocols import SearchSpace
from explorer.evaluators.predictor import Predictor, half_width
from explorer.evaluators.scoring import Scored
from explorer.spaces.operators import one_hot

STRENGTHS = (np.inf, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
FOLDS, FEWEST = 10, 20


class Change(Settings):
    """The change of accuracy in eight bits, as a study stores it.

    Attributes:
        weights: one per bit of the one-hot choices.
        constant: added to their sum.
        quality: figures from fitting, see `fit_change`.
    """

    weights: list[FiniteFloat] = Field(max_length=100_000)
    constant: float = Field(ge=-1, le=1)
    quality: dict[str, FiniteFloat]

    @field_validator("quality")
    @classmethod
    def _whole(cls, quality: dict[str, float]) -> dict[str, float]:
        if missing := sorted({"half_width", "drop", "on_fronts"} - set(quality)):
            raise ValueError(f"quality lacks {', '.join(missing)}")
        return quality

    @classmethod
    def open(cls, path: Path) -> Change:
        """Read a change from its file."""
        return parse(cls, read_json(path), str(path))

    def save(self, path: Path) -> None:
        """Write the change to one JSON file."""
        write_json(path, self.model_dump())

    def added(self, predictor: Predictor) -> Predictor:
        """Return the predictor of accuracy in eight bits.

        Raises:
            InputError: the change is that of another space.
        """
        bits = one_hot(predictor.space, _first(predictor.space)).shape[1]
        if len(self.weights) != bits:
            raise InputError(f"the change in eight bits has {len(self.weights)} weights; expected {bits}")
        model = onnx.load_from_string(predictor.model)
        _add(model.graph, np.array(self.weights), self.constant)
        helper.set_model_props(model, {"quality": json.dumps(self.quality)})
        return Predictor(predictor.space, model.SerializeToString())


def fit_change(
    predictor: Predictor, measured: Scored, full: np.ndarray, coverage: float = 0.9, seed: int = 0
) -> Change:
    """Fit the change of accuracy in eight bits.

    The figures of its quality are those of a predictor (see `Predictor.fit`), all on held-out networks, and: `drop`,
    the mean loss of accuracy; `drop_mae`, the mean error of the predicted loss; `float_tau` and `float_mae`, how well
    the predictor for float32 ranks and meets the accuracies in eight bits; `on_fronts`, the share of the networks that
    lie on searched fronts.

    Args:
        predictor: of accuracy in float32.
        measured: n networks that the predictor was not fitted to, with their accuracy in eight bits.
        full: (n,) their accuracy in float32, on the same images.
        coverage: share of accuracies that the band should cover.
        seed: seed of the cross-validation folds.

    Raises:
        InputError: fewer than 20 networks.
    """
    codes, low = measured.codes, measured.accuracy
    if len(codes) < FEWEST:
        raise InputError(f"a predictor for eight bits needs at least {FEWEST} measured networks, not {len(codes)}")
    bits, change, known = one_hot(predictor.space, codes), low - full, predictor.evaluate(codes)
    fold = np.random.default_rng(seed).permutation(len(bits)) % FOLDS
    held_out = {strength: _held_out(bits, change, fold, strength) for strength in STRENGTHS}
    strength = min(STRENGTHS, key=lambda s: float(np.square(held_out[s] - change).mean()))
    weights, constant = _fit(bits, change, strength)
    predicted = known + held_out[strength]
    errors = np.abs(predicted - low)
    quality = {
        "half_width": half_width(errors, coverage), "coverage": coverage, "held_out": len(bits),
        "kendall_tau": kendall_tau(predicted, low), "mae": float(errors.mean()), "trained_on": len(bits),
        "calibrated_on": len(bits), "drop": float(-change.mean()),
        "drop_mae": float(np.abs(held_out[strength] - change).mean()), "float_tau": kendall_tau(known, low),
        "float_mae": float(np.abs(known - low).mean()), "on_fronts": float((measured.source == "front").mean()),
    }  # fmt: skip
    return Change(weights=[round(float(w), 7) for w in weights], constant=round(constant, 7), quality=quality)


def _first(space: SearchSpace) -> np.ndarray:
    return space.canonical(np.zeros((1, len(space.decisions)), np.int8))


def _held_out(bits: np.ndarray, change: np.ndarray, fold: np.ndarray, strength: float) -> np.ndarray:
    """Return the change (n,) of every network as a fit without its fold predicts it."""
    found = np.zeros(len(bits))
    for held in range(FOLDS):
        weights, constant = _fit(bits[fold != held], change[fold != held], strength)
        found[fold == held] = bits[fold == held] @ weights + constant
    return found


def _fit(bits: np.ndarray, change: np.ndarray, strength: float) -> tuple[np.ndarray, float]:
    """Fit change = bits @ weights + constant; return weights (D,) and the constant."""
    if np.isinf(strength):
        return np.zeros(bits.shape[1]), float(change.mean())
    mean = bits.mean(0).astype(float)
    x = bits - mean
    weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ (change - change.mean()))
    return weights, float(change.mean() - mean @ weights)


def _add(graph: onnx.GraphProto, weights: np.ndarray, constant: float) -> None:
    """Add a linear function of the input to the output of a predictor's graph."""
    reads, gives, name = graph.input[0].name, graph.output[0].name, "in_float32"
    for node in graph.node:
        node.output[:] = [name if output == gives else output for output in node.output]
    parts = {"change_weights": weights.reshape(-1, 1), "change_constant": np.array([constant])}
    graph.initializer.extend(numpy_helper.from_array(value.astype(np.float32), key) for key, value in parts.items())
    graph.node.append(helper.make_node("Gemm", [reads, *parts], ["change"]))
    graph.node.append(helper.make_node("Add", [name, "change"], [gives]))
