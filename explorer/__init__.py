"""Pareto Explorer: one supernet, one generator, a network for any budget.

    import explorer as ex
    study = ex.open_study("fashion-mnist")
    candidate = study.generate({"mobile": 0.5})

Importing this, opening a study and generating load no torch; what trains or measures loads it when called.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# public name -> the room that it lives in
_ROOMS = {
    "Architecture": "architecture", "Candidate": "front", "Front": "front", "InputError": "errors",
    "SPACES": "spaces", "load_device": "devices", "load_dataset": "datasets",
    "train_supernet": "supernets", "SharedWeights": "evaluators", "RandomWeights": "evaluators",
    "Predictor": "evaluators", "score": "evaluators",
    "search": "search", "train_generator": "generators", "Study": "study", "open_study": "study",
    "export": "export", "ExportBundle": "export", "train": "pipeline", "Dashboard": "widgets",
}  # fmt: skip
_NEEDS_TORCH = ("datasets", "supernets", "pipeline")

__all__ = sorted(_ROOMS)


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'explorer' has no attribute {name!r}")
    room = _ROOMS[name]
    if room in _NEEDS_TORCH:
        from explorer.errors import require_torch

        require_torch(f"explorer.{name}")
    value = getattr(import_module(f"explorer.{room}"), name)
    globals()[name] = value
    return value


class _Facade(ModuleType):
    """Keeps `explorer.search` and `explorer.export` the functions when the rooms of that name are imported."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _ROOMS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Facade


def __dir__() -> list[str]:
    return [*globals(), *_ROOMS]
