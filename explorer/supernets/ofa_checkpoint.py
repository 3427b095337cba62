"""Load public once-for-all checkpoints (MobileNetV3) into a `MobileSupernet`.

Tensor names are those of `ofa_mbv3` in the repository of Cai et al., in either of its two naming schemes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from explorer.core.errors import InputError
from explorer.spaces import MobileSpace, Space
from explorer.supernets.mobile import MobileSupernet
from explorer.supernets.sources import read_state

NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def load_ofa(path: str | Path, space: Space, mean: Sequence[float], std: Sequence[float]) -> MobileSupernet:
    """Create the supernet of an ImageNet space with the weights of a checkpoint, in evaluation mode.

    Args:
        path: a `.pth` file that holds a state dict, directly or under the key "state_dict".
        space: the space "mobilenetv3-w1.0" or "mobilenetv3-w1.2", or one with fewer of their options.
        mean, std: normalisation of the images, per channel.

    Raises:
        InputError: the file cannot be read, or is no checkpoint of this space; the message names the first tensor that
            is missing or has another shape.
    """
    if not isinstance(space, MobileSpace):
        raise InputError(f"space {space.name!r} is not of the mobile family, so no once-for-all checkpoint fits it")
    tensors = {_modern(name): tensor for name, tensor in read_state(Path(path)).items()}
    supernet = MobileSupernet(space, mean, std)
    state = supernet.state_dict()
    names = ofa_names(space)
    for ours, theirs in names.items():
        if ours not in state:
            continue
        if theirs not in tensors:
            if theirs.endswith("num_batches_tracked"):
                continue
            raise InputError(
                f"checkpoint {str(path)!r} has no tensor {theirs!r}; it is probably not one of space {space.name!r}"
            )
        if tensors[theirs].shape != state[ours].shape:
            raise InputError(
                f"checkpoint {str(path)!r}: tensor {theirs!r} has shape {tuple(tensors[theirs].shape)}; space "
                f"{space.name!r} needs {tuple(state[ours].shape)}"
            )
        state[ours] = tensors[theirs]
    supernet.load_state_dict(state)
    return supernet.eval()


def classes_of(path: str | Path) -> int:
    """Return the number of classes of a checkpoint's classifier.

    Raises:
        InputError: the file cannot be read, or has no classifier.
    """
    tensors = {_modern(name): tensor for name, tensor in read_state(Path(path)).items()}
    if "classifier.linear.weight" not in tensors:
        raise InputError(f"checkpoint {str(path)!r} has no classifier, so it is not one of once-for-all")
    return len(tensors["classifier.linear.weight"])


def ofa_names(space: MobileSpace) -> dict[str, str]:
    """Map our tensor names to once-for-all's, for all tensors of the supernet except the image normalisation."""
    names = _conv("blocks.stem", "first_conv") | _conv("blocks.final", "final_expand_layer")
    names |= {"blocks.mix.conv.weight": "feature_mix_layer.conv.weight"}
    names |= {f"blocks.classifier.{part}": f"classifier.linear.{part}" for part in ("weight", "bias")}
    blocks = ["first", *(f"stage{s + 1}-{j + 1}" for s, j in space.slots)]
    for number, block in enumerate(blocks):
        ours, theirs = f"blocks.{block}", f"blocks.{number}.conv"
        for layer, their_layer in (("expand", "inverted_bottleneck"), ("project", "point_linear")):
            names[f"{ours}.{layer}.weight"] = f"{theirs}.{their_layer}.conv.weight"
            names |= _norm(f"{ours}.{layer}_norm", f"{theirs}.{their_layer}.bn")
        names[f"{ours}.depthwise.weight"] = f"{theirs}.depth_conv.conv.weight"
        names |= _norm(f"{ours}.depthwise_norm", f"{theirs}.depth_conv.bn")
        for small, large in ((5, 7), (3, 5)):
            names[f"{ours}.depthwise.shrink.{small}"] = f"{theirs}.depth_conv.conv.{large}to{small}_matrix"
        for layer in ("reduce", "expand"):
            for part in ("weight", "bias"):
                names[f"{ours}.se.{layer}.{part}"] = f"{theirs}.depth_conv.se.fc.{layer}.{part}"
    return names


def _conv(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.conv.weight": f"{theirs}.conv.weight"} | _norm(f"{ours}.norm", f"{theirs}.bn")


def _norm(ours: str, theirs: str) -> dict[str, str]:
    return {f"{ours}.{part}": f"{theirs}.{part}" for part in NORM}


def _modern(name: str) -> str:
    """Convert a tensor name to the newer naming scheme: the older one nests conv, bn and linear one level deeper."""
    name = name.removeprefix("module.").replace(".mobile_inverted_conv.", ".conv.")
    return re.sub(r"\.(bn|linear)\.\1\.", r".\1.", re.sub(r"\.conv\.conv\.(?=weight|\dto\d)", ".conv.", name))
