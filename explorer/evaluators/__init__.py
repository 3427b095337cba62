"""Evaluators: `evaluate(codes) -> (n,)` accuracy in [0, 1]. Names that need torch are loaded when asked for."""

from typing import Any

from explorer.evaluators.agreement import agreement, mean_rank
from explorer.evaluators.ladder import ladder
from explorer.evaluators.predictor import Predictor, PredictorConfig
from explorer.evaluators.published import read_published
from explorer.evaluators.scoring import ScoreConfig, Scored, append_scores, read_scores, score, spread_sample
from explorer.evaluators.table import Table

__all__ = [
    "Predictor", "PredictorConfig", "RandomWeights", "ScoreConfig", "Scored",
    "SharedWeights", "Table", "TrainedAlone", "agreement", "append_scores", "ladder", "mean_rank", "probe_layers",
    "read_published", "read_scores", "score", "spread_sample",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "SharedWeights":
        from explorer.evaluators.shared_weights import SharedWeights

        return SharedWeights
    if name == "RandomWeights":
        from explorer.evaluators.random_weights import RandomWeights

        return RandomWeights
    if name == "TrainedAlone":
        from explorer.evaluators.alone import TrainedAlone

        return TrainedAlone
    if name == "probe_layers":
        from explorer.evaluators.probe import probe_layers

        return probe_layers
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
