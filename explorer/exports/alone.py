"""Training a single network from scratch, without supernet or study (`explorer train-network`)."""

from __future__ import annotations

import copy
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.core.architecture import Architecture
from explorer.core.errors import require_torch
from explorer.core.files import empty_folder, hand_over, scratch, write_json
from explorer.core.protocols import Progress, silent
from explorer.devices import load_device
from explorer.exports.check import compared, refuse_other
from explorer.exports.onnx_files import onnx_bytes, run_onnx
from explorer.spaces.base import configured
from explorer.supernets.config import TrainConfig

if TYPE_CHECKING:
    from explorer.data import Images

WEIGHTS = "trained from scratch, alone, on the training images"


def train_alone(
    architecture: Architecture, images: Images, out: str | Path, config: TrainConfig | None = None, seed: int = 0,
    checked: int = 1000, progress: Progress = silent,
) -> dict[str, Any]:  # fmt: skip
    """Train one network from scratch and write it as ONNX (checked on test images) and safetensors, with a JSON card.

    Args:
        architecture: an architecture of any space; the space is configured for the images if possible.
        images: the result of `load_dataset`; the network is trained on `train`, and its accuracy is measured on `val`
            and, once, on `test`.
        out: an empty or new folder.
        config: training settings; the sampling rule is not used.
        seed: random seed of weights and batches.
        checked: number of test images on which the written file is compared with the network.
        progress: reports steps.

    Returns:
        The content of the card: architecture, accuracies, costs, schedule, check, and the paths of the files.

    Raises:
        InputError: `out` is not empty.
        ExportError: the written file gives different results from the network; no file is kept.
        MissingExtra: torch is not installed.
    """
    require_torch("training a network")
    from safetensors.torch import save_file

    from explorer.evaluators.shared_weights import accuracy, fused
    from explorer.supernets import build, train_network
    from explorer.supernets.augment import to_float

    out, config = empty_folder(out), config or TrainConfig()
    space = configured(architecture.space, images.channels, len(images.classes), images.size)
    layers = space.layers(architecture.choices)
    start = time.monotonic()
    network = train_network(build(layers, images.mean, images.std, seed), images, config, seed, progress)
    seconds = time.monotonic() - start
    codes = np.array([architecture.choices], np.int8)
    test = images.test.take(slice(0, checked))
    stem = f"alone-{space.name}-{architecture.key}"
    facts = {
        "architecture": architecture.key, "space": space.name, "data": images.name, "classes": list(images.classes),
        "weights": WEIGHTS, "schedule": config.model_dump(include={"epochs", "batch", "lr", "weight_decay", "flip",
                                                                   "shift", "cutout", "label_smoothing"}),
        "seed": seed, "seconds": seconds, "val": accuracy(network, images.val), "test": accuracy(network, images.test),
    }  # fmt: skip
    facts |= {name: float(load_device(name).cost(space, codes)[0]) for name in ("macs_m", "params_m")}
    with scratch("explorer-train-") as work:
        path = work / f"{stem}.onnx"
        about = {k: v if isinstance(v, str) else json.dumps(v) for k, v in facts.items()}
        path.write_bytes(onnx_bytes(fused(copy.deepcopy(network)), images.channels, images.size, about))
        check = compared(run_onnx(path), network, to_float(test.images), test.labels)
        refuse_other(check, len(test))
        save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path.with_suffix(".safetensors"))
        files = {"onnx": path.name, "weights": path.with_suffix(".safetensors").name, "card": f"{stem}.json"}
        facts |= {"check": check | {"images": len(test)}, "files": files}
        write_json(work / files["card"], facts)
        hand_over(work, out)
    return facts | {"files": {kind: str(out / name) for kind, name in files.items()}}
