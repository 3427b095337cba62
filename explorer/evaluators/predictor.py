"""The accuracy predictor: an ensemble of small networks on one-hot codes, with a calibrated error band.

Fitting needs torch; predicting needs only onnxruntime. The band is cross-conformal (Vovk 2015): its half-width is the
(1 - alpha) quantile of the absolute errors on architectures that a fit did not see, each of them once, so it covers the
accuracy of a new architecture with a probability of about 1 - alpha if that is sampled from the same distribution.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from pydantic import Field

from explorer.core.config import Settings
from explorer.core.errors import InputError, first_line, require_torch
from explorer.core.files import write_bytes
from explorer.core.front import kendall_tau
from explorer.core.onnx_mlp import mlp_graph
from explorer.core.onnx_session import open_graph
from explorer.core.protocols import SearchSpace
from explorer.spaces.operators import one_hot

RANKS = 0.2  # Kendall's tau below which a predictor's ranking means little
FLAT = 5e-5  # half-width that rounds to 0.00 %


class PredictorConfig(Settings):
    """Settings for fitting the predictor (AdamW, cosine schedule).

    Attributes:
        members: number of networks in the ensemble.
        width: units of their two hidden layers.
        epochs, lr, batch, weight_decay: of the training of a member.
        held_out: share of the scored architectures that are never trained on. For the band alone, further ensembles
            are fitted, each without another such share, until every architecture was held out once.
        coverage: share of accuracies that the band should cover.
    """

    members: int = Field(4, ge=1, le=100)
    width: int = Field(192, ge=8, le=10_000)
    epochs: int = Field(120, ge=1, le=1_000_000)
    lr: float = Field(2e-3, gt=0, le=1000)
    batch: int = Field(64, ge=8, le=100_000)
    weight_decay: float = Field(1e-3, ge=0, le=1000)
    held_out: float = Field(0.2, gt=0, lt=0.9)
    coverage: float = Field(0.9, gt=0, lt=1)


class Predictor:
    """An evaluator that predicts accuracies with an ONNX model.

    Args:
        space: the search space.
        model: bytes of the ONNX graph `bits (n, D) -> accuracy (n, members)`; its metadata contain `quality`.

    Attributes:
        quality: figures from fitting, such as the half-width of the band and Kendall's tau on held-out architectures.

    Raises:
        InputError: the model is not a predictor of this space.
    """

    def __init__(self, space: SearchSpace, model: bytes) -> None:
        self.space, self.model = space, model
        try:
            self._session = open_graph(model)
            self.quality: dict[str, float] = json.loads(self._session.get_modelmeta().custom_metadata_map["quality"])
            self.half_width = float(self.quality["half_width"])
            if not 0 <= self.half_width <= 1:
                raise ValueError(f"half_width {self.half_width}")
            width = self._session.get_inputs()[0].shape[1]
        except Exception as error:
            raise InputError(f"predictor.onnx is not a Pareto Explorer predictor: {first_line(error)}") from error
        first = space.canonical(np.zeros((1, len(space.decisions)), np.int8))
        bits = one_hot(space, first).shape[1]
        if width != bits:
            raise InputError(f"predictor.onnx reads {width} bits, but space {space.name!r} has {bits}")
        try:
            if not np.isfinite(self.evaluate(first)).all():
                raise ValueError("it predicts a value that is NaN or infinite")
        except Exception as error:
            raise InputError(f"predictor.onnx is not a Pareto Explorer predictor: {first_line(error)}") from error

    @property
    def warning(self) -> str:
        """One line where the predicted accuracies do not tell networks apart; "" otherwise.

        That is so where Kendall's tau on held-out networks is below `RANKS`, or the band rounds to 0.00 %: then all
        networks were measured alike, as happens where one class dominates or the images are few.
        """
        tau, held_out = self.quality.get("kendall_tau", 1.0), int(self.quality.get("held_out", 0))
        if self.half_width < FLAT:
            return (
                f"All {held_out} held-out networks have the same accuracy (band ±{self.half_width:.2%}); it does not "
                "tell networks apart: perhaps one class dominates, or the images are few. Budgets still hold."
            )
        if tau < RANKS:
            return (
                f"The predicted accuracy hardly ranks networks: Kendall's tau {tau:.2f} on {held_out} held-out ones. "
                "Choose by cost, or train longer, on more images. Budgets still hold."
            )
        return ""

    @classmethod
    def open(cls, space: SearchSpace, path: str | Path) -> Predictor:
        """Read a predictor from an ONNX file."""
        return cls(space, Path(path).read_bytes())

    def save(self, path: str | Path) -> None:
        """Write the predictor to one ONNX file."""
        write_bytes(path, self.model)

    def evaluate(self, codes: np.ndarray) -> np.ndarray:
        """(n, d) int8 -> (n,) predicted accuracy in [0, 1]."""
        if len(codes) == 0:
            return np.zeros(0)
        bits = one_hot(self.space, codes)
        rows: list[Any] = [
            self._session.run(None, {"bits": b})[0] for b in np.array_split(bits, math.ceil(len(bits) / 8192))
        ]
        return np.clip(np.concatenate(rows).mean(1), 0, 1).astype(float)

    def interval(self, accuracy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the band (low, high) around predicted accuracies, (n,) each; `quality` contains its coverage."""
        accuracy = np.asarray(accuracy)
        return np.clip(accuracy - self.half_width, 0, 1), np.clip(accuracy + self.half_width, 0, 1)

    @classmethod
    def fit(cls, space: SearchSpace, scored: Any, config: PredictorConfig | None = None, seed: int = 0) -> Predictor:
        """Fit a predictor to scored architectures.

        Args:
            space: the search space.
            scored: a `Scored`, or a pair (codes (n, d) int8, accuracy (n,)).
            config: see `PredictorConfig`.
            seed: seed of the held-out split and of the weights.

        Raises:
            InputError: fewer than 20 scored architectures.
        """
        require_torch("fitting a predictor")
        config = config or PredictorConfig()
        codes, accuracy = (scored.codes, scored.accuracy) if hasattr(scored, "codes") else scored
        if len(codes) < 20:
            raise InputError(f"a predictor needs at least 20 scored architectures, not {len(codes)}")
        bits, accuracy = one_hot(space, codes), np.asarray(accuracy, np.float32)
        order = np.random.default_rng(seed).permutation(len(bits))
        held = max(5, round(config.held_out * len(bits)))
        test, train = order[:held], order[held:]
        from explorer.evaluators.fitting import fit_ensemble, linear_layers
        from explorer.fast.threads import one_thread

        with one_thread():
            ensemble = fit_ensemble(bits[train], accuracy[train], config, seed)
        predicted = ensemble(bits[test]).mean(1)
        errors = np.abs(predicted - accuracy[test])
        every = np.concatenate([errors, *_other_errors(bits, accuracy, train, config, seed)])
        quality = {
            "half_width": half_width(every, config.coverage), "coverage": config.coverage, "held_out": int(held),
            "kendall_tau": kendall_tau(predicted, accuracy[test]), "mae": float(errors.mean()),
            "trained_on": len(train), "calibrated_on": len(every),
        }  # fmt: skip
        model = mlp_graph([linear_layers(member) for member in ensemble.members], "bits", "accuracy")
        onnx.helper.set_model_props(model, {"quality": json.dumps(quality)})
        return cls(space, model.SerializeToString())


def half_width(errors: np.ndarray, coverage: float) -> float:
    """Return the half-width of a band: the smallest one that covers a new error with this probability."""
    rank = min(len(errors) - 1, math.ceil((len(errors) + 1) * coverage) - 1)
    return float(np.sort(errors)[rank])


def _other_errors(
    bits: np.ndarray, accuracy: np.ndarray, train: np.ndarray, config: PredictorConfig, seed: int
) -> list[np.ndarray]:
    """Compute the absolute errors on the rows `train`, each predicted by an ensemble that was fitted without it."""
    from explorer.evaluators.fitting import fit_ensemble
    from explorer.fast.threads import one_thread

    found = []
    folds = round(1 / config.held_out) - 1  # none where more than two thirds are held out
    for fold in np.array_split(train, folds) if folds else []:
        rest = np.setdiff1d(np.arange(len(bits)), fold)
        with one_thread():
            ensemble = fit_ensemble(bits[rest], accuracy[rest], config, seed)
        found.append(np.abs(ensemble(bits[fold]).mean(1) - accuracy[fold]))
    return found
