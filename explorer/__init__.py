"""Pareto Explorer: one supernet, one generator, a network for any budget.

    import explorer as ex
    study = ex.open_study("fashion-mnist")
    candidate = study.generate({"mobile": 0.5})

Importing this package, opening a study and generating do not load torch; functions that train or measure load it when
they are called.
"""

import os
from typing import Any

from explorer.core.errors import require_torch
from explorer.core.lazy import lazy

__version__ = "0.1.0"
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # onnxruntime 1.32 would report its use to its makers

# public name -> the module that defines it
_HOMES = {
    "Architecture": "core.architecture", "Candidate": "core.front", "Front": "core.front", "InputError": "core.errors",
    "SPACES": "spaces", "load_device": "devices", "load_dataset": "data",
    "train_supernet": "supernets", "pretrained": "supernets",
    "SharedWeights": "evaluators", "RandomWeights": "evaluators",
    "Predictor": "evaluators", "score": "evaluators",
    "search": "searches", "train_generator": "generators", "Study": "study", "open_study": "study",
    "export": "exports", "ExportBundle": "exports", "train": "study.train", "Dashboard": "widgets",
}  # fmt: skip
_NEEDS_TORCH = ("load_dataset", "train_supernet", "pretrained", "train")

__all__ = sorted(_HOMES)


_load = lazy(__name__, _HOMES)


def __getattr__(name: str) -> Any:
    if name in _NEEDS_TORCH:
        require_torch(f"explorer.{name}")
    return _load(name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
