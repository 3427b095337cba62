"""Checkpoints without pickle: one safetensors file with the model, the momentum and the step."""

from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import nn

from explorer.core.errors import READ_ERRORS, InputError, first_line
from explorer.core.files import write_bytes


def save_tensors(path: Path, tensors: dict[str, torch.Tensor], half: bool = False) -> None:
    """Write tensors to a safetensors file, atomically.

    Args:
        path: the file.
        tensors: name -> tensor.
        half: whether weights of two or more dimensions are rounded to float16; norms and biases keep their precision.
    """
    stored = {name: t.detach().cpu().contiguous() for name, t in tensors.items()}
    if half:
        stored = {n: t.half() if t.is_floating_point() and t.squeeze().ndim > 1 else t for n, t in stored.items()}
    write_bytes(path, save(stored))


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read tensors from a safetensors file.

    Raises:
        InputError: the file is missing or damaged; the message names it.
    """
    try:
        return load(Path(path).read_bytes())
    except Exception as error:
        raise InputError(f"{str(path)!r} cannot be read as a safetensors file: {first_line(error)}") from error


def save_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Save model, momentum and step: all that later steps need, as random numbers are functions of (seed, step)."""
    tensors = {f"model.{name}": t for name, t in model.state_dict().items()}
    for i, state in optimizer.state_dict()["state"].items():
        if state.get("momentum_buffer") is not None:
            tensors[f"momentum.{i}"] = state["momentum_buffer"]
    save_tensors(path, tensors | {"step": torch.tensor(step)})


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore model and momentum from a checkpoint; return the number of finished steps.

    Raises:
        InputError: the checkpoint is damaged or belongs to another training run.
    """
    tensors = load_tensors(path)
    try:
        return _restored(tensors, model, optimizer)
    except (RuntimeError, *READ_ERRORS) as error:
        raise InputError(
            f"{str(path)!r} is damaged or not a checkpoint of this training: "
            f"{first_line(error)}; delete it to start again"
        ) from error


def _restored(tensors: dict[str, torch.Tensor], model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    model.load_state_dict({n.removeprefix("model."): t for n, t in tensors.items() if n.startswith("model.")})
    state = optimizer.state_dict()
    state["state"] = {
        int(n.removeprefix("momentum.")): {"momentum_buffer": t}
        for n, t in tensors.items()
        if n.startswith("momentum.")
    }
    optimizer.load_state_dict(state)
    return int(tensors["step"])
