"""Files for PyTorch: a program of torch.export, and plain source with weights beside it."""

from __future__ import annotations

import importlib.util
import io
import pprint
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from explorer.core.files import write_bytes, write_text
from explorer.exports.check import Run
from explorer.exports.original import Original

MARK = "FACTS: dict = {}"


def write_program(original: Original, path: Path) -> None:
    """A `.pt2` of torch.export: plain operators, no class of this package."""
    import torch

    data = original.study.manifest.data
    example = torch.rand(2, data.channels, data.size, data.size)
    shapes = ({0: torch.export.Dim("n", min=1, max=65536)},)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(original.fused(), (example,), dynamic_shapes=shapes)
        file = io.BytesIO()
        torch.export.save(program, file, extra_files={"weights.txt": original.weights})
    write_bytes(path, file.getvalue())


def run_program(path: Path) -> Run:
    """The written program, opened again."""
    import torch

    return _run(torch.export.load(path).module())


def write_source(original: Original, path: Path) -> None:
    """`standalone.py` with this network's facts in it, and the weights beside it as safetensors."""
    from safetensors.torch import save

    data = original.study.manifest.data
    layers = original.study.space.layers(original.candidate.architecture)
    unused = ("mixed", "places", "size")
    facts = {
        "study": original.study.name, "architecture": original.candidate.key, "weights": original.weights,
        "classes": list(data.classes), "mean": list(data.mean), "std": list(data.std), "size": layers[0].size,
        "layers": [
            {k: v for k, v in asdict(layer).items() if k not in unused} | {"depthwise": layer.depthwise}
            for layer in layers
        ],
    }  # fmt: skip
    text = Path(__file__).with_name("standalone.py").read_text(encoding="utf-8")
    before, after = text.split(MARK)
    written = "FACTS: dict = " + pprint.pformat(facts, width=118, compact=True, sort_dicts=False)
    weights = {k: v.contiguous() for k, v in original.network.state_dict().items()}
    write_text(path, before + written + after)
    write_bytes(path.with_suffix(".safetensors"), save(weights))


def run_source(path: Path) -> Run:
    """The written source, imported from its file."""
    spec = importlib.util.spec_from_file_location("exported_network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return _run(module.load())


def _run(network: Any) -> Run:
    import torch

    def run(x: Any) -> np.ndarray:
        with torch.no_grad():
            out: np.ndarray = network(x).numpy()
        return out

    return run
