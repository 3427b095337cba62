"""Export to PyTorch: a torch.export program, and plain source code with a weights file."""

from __future__ import annotations

import importlib.util
import inspect
import io
import pprint
import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.core.errors import InputError
from explorer.core.files import write_bytes, write_text
from explorer.core.layer import Layer
from explorer.core.operators import MBConv
from explorer.exports.check import Run
from explorer.exports.original import Original

if TYPE_CHECKING:
    from torch import Tensor, nn

HEAD = '''"""An exported network in plain PyTorch, which needs torch and safetensors. Keep the weights file beside it.

network = load()
logits = network(images)  # images: float32 (n, channels, height, width) in [0, 1] -> (n, classes)
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn'''
TAIL = '''
def load(weights: str | Path = Path(__file__).with_suffix(".safetensors")) -> Network:
    """The network with its weights, in evaluation mode."""
    from safetensors.torch import load_file

    layers = [SimpleNamespace(**layer) for layer in FACTS["layers"]]
    network = Network(layers, Preprocess(FACTS["mean"], FACTS["std"], FACTS["size"]))
    network.load_state_dict(load_file(weights))
    return network.eval()
'''


def write_program(original: Original, path: Path) -> None:
    """Write a `.pt2` program of torch.export, which has plain operators and no classes of this package."""
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
    """Open a written program for running."""
    import torch

    return _run(torch.export.load(path).module())


def write_source(original: Original, path: Path) -> None:
    """Write plain PyTorch source that does not need this package, and a safetensors file with the weights.

    Raises:
        InputError: the module of an operator from another package is a lambda, whose source cannot be copied.
    """
    from safetensors.torch import save

    data = original.study.manifest.data
    layers = original.study.space.layers(original.candidate.architecture)
    facts = {
        "study": original.study.name, "architecture": original.candidate.key, "weights": original.weights,
        "classes": list(data.classes), "mean": list(data.mean), "std": list(data.std), "size": layers[0].size,
        "layers": [_facts_of(layer) for layer in layers],
    }  # fmt: skip
    written = "FACTS: dict[str, Any] = " + pprint.pformat(facts, width=118, compact=True, sort_dicts=False)
    weights = {k: v.contiguous() for k, v in original.network.state_dict().items()}
    write_text(path, "\n\n".join([HEAD, _modules(layers), written, TAIL]))
    write_bytes(path.with_suffix(".safetensors"), save(weights))


def _facts_of(layer: Layer) -> dict[str, Any]:
    """Collect the fields of a layer that its module reads; for an MBConv also its depthwise convolutions."""
    facts = {"op": layer.op} | asdict(layer)
    return facts | ({"depthwise": layer.depthwise} if isinstance(layer, MBConv) else {})


def _modules(layers: Sequence[Layer]) -> str:
    """Return the source of `supernets.plain` without its imports, and of modules registered by other packages."""
    from explorer.supernets import plain

    _, _, body = inspect.getsource(plain).partition("from torch import Tensor, nn\n")
    pieces = [body.strip("\n")]
    for op in dict.fromkeys(layer.op for layer in layers):
        module: Any = plain.MODULES[op]
        if module.__module__ != plain.__name__:
            if module.__name__ == "<lambda>":
                raise InputError(
                    f"operator {op!r}: its module must be a class or a named function to be exported as source"
                )
            pieces.append(textwrap.dedent(inspect.getsource(module)).strip())
            if not pieces[-1].startswith("@runs"):
                pieces.append(f"MODULES[{op!r}] = {module.__name__}")
    return "\n\n\n".join(pieces)


def run_source(path: Path) -> Run:
    """Import written source for running."""
    spec = importlib.util.spec_from_file_location("exported_network", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return _run(module.load())


def _run(network: nn.Module) -> Run:
    import torch

    def run(x: Tensor) -> np.ndarray:
        with torch.no_grad():
            out: np.ndarray = network(x).numpy()
        return out

    return run
