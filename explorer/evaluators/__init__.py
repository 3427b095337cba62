"""Evaluators: `evaluate(codes) -> (n,)` accuracy in [0, 1]. Classes that need torch are imported on first use."""

from typing import TYPE_CHECKING

from explorer.core.lazy import lazy
from explorer.evaluators.agreement import agreement, mean_rank
from explorer.evaluators.kinds import EVALUATORS, EvaluatorKind
from explorer.evaluators.ladder import ladder
from explorer.evaluators.predictor import Predictor, PredictorConfig
from explorer.evaluators.published import read_published
from explorer.evaluators.scoring import ScoreConfig, Scored, append_scores, read_scores, score, spread_sample
from explorer.evaluators.table import Table

if TYPE_CHECKING:
    from explorer.evaluators.alone import TrainedAlone
    from explorer.evaluators.eight_bit_weights import EightBitWeights
    from explorer.evaluators.probe import probe_layers
    from explorer.evaluators.random_weights import RandomWeights
    from explorer.evaluators.shared_weights import SharedWeights

__getattr__ = lazy(__name__, {
    "SharedWeights": "shared_weights", "RandomWeights": "random_weights", "TrainedAlone": "alone",
    "EightBitWeights": "eight_bit_weights",
    "probe_layers": "probe",
})  # fmt: skip

__all__ = [
    "EVALUATORS", "EightBitWeights", "EvaluatorKind",
    "Predictor", "PredictorConfig", "RandomWeights", "ScoreConfig", "Scored",
    "SharedWeights", "Table", "TrainedAlone", "agreement", "append_scores", "ladder", "mean_rank", "probe_layers",
    "read_published", "read_scores", "score", "spread_sample",
]  # fmt: skip
