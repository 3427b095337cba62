"""Training a supernet, or a plain network alone, on one loop.

Every step is a function of (seed, step): its batch, its augmentation and its subnets. So a run that was killed goes on
from its last checkpoint to the same weights. lightning-fabric chooses the accelerator and, under `torchrun`, spreads a
batch over processes; gradients are then averaged by hand, since each step runs several subnets of different shapes.
"""

import atexit
import math
import os
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import lightning_fabric
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from explorer.core.errors import InputError
from explorer.core.protocols import Progress, SearchSpace, silent
from explorer.data.datasets import Images, Split
from explorer.fast.memory import keep_memory
from explorer.spaces.base import configured
from explorer.supernets.augment import augment
from explorer.supernets.checkpoint import load_checkpoint, save_checkpoint
from explorer.supernets.config import TrainConfig
from explorer.supernets.sampling import RULES
from explorer.supernets.shrinking import Shrinking, phase_at
from explorer.supernets.supernet import Supernet


def make_supernet(space: SearchSpace, mean: Sequence[float], std: Sequence[float], seed: int = 0) -> Supernet:
    """Fresh shared weights of a space that is configured for its images.

    Raises:
        InputError: the space has no supernet.
    """
    place = getattr(space, "supernet", "")
    if not place:
        raise InputError(
            f"space {space.name!r} has no supernet; choose a space of the mobile or the unified family, or train its "
            "networks one by one"
        )
    module, _, name = place.partition(":")
    supernet: Supernet = getattr(import_module(module), name)(space, mean, std, seed)
    return supernet


def train_supernet(
    space: SearchSpace, images: Images, config: TrainConfig | None = None, seed: int = 0,
    checkpoint: Path | None = None, progress: Progress = silent, supernet: Supernet | None = None,
) -> Supernet:  # fmt: skip
    """Train the shared weights of a space.

    Args:
        space: of the mobile or the unified family; it is configured for the images here.
        images: trained on `images.train` only.
        config: see `TrainConfig`.
        seed: of weights, batches and subnets.
        checkpoint: written every `checkpoint_steps`, and resumed from where it exists.
        progress: reports steps.
        supernet: to be trained, of this space and these images; fresh weights unless given.

    Returns:
        The supernet on the CPU, in evaluation mode.
    """
    config = config or TrainConfig()
    space = configured(space, images.channels, len(images.classes), images.size)
    supernet = supernet or make_supernet(space, images.mean, images.std, seed)
    train = _train_progressively if config.rule == "progressive" else _train_by_rule
    train(supernet, images.train, config, seed, checkpoint, progress)
    return supernet.cpu().eval()


def _train_by_rule(
    supernet: Supernet, data: Split, config: TrainConfig, seed: int, checkpoint: Path | None, progress: Progress
) -> None:
    rule = RULES[config.rule]

    def loss_of_step(x: Tensor, y: Tensor, step: int, backward: Callable[[Tensor], None]) -> float:
        codes = rule(supernet.space, seed, step, config.random_subnets)
        teacher, total = None, 0.0
        for row in codes:
            logits = supernet(x, row)
            if teacher is None:
                loss = F.cross_entropy(logits, y, label_smoothing=config.label_smoothing)
                if config.rule == "sandwich":
                    teacher = logits.detach().softmax(1)
            else:
                loss = F.cross_entropy(logits, teacher)
            backward(loss / len(codes))
            total += float(loss.detach()) / len(codes)
        return total

    _fit(supernet, data, loss_of_step, config, seed, checkpoint, progress)


def _train_progressively(
    supernet: Supernet, data: Split, config: TrainConfig, seed: int, checkpoint: Path | None, progress: Progress
) -> None:
    p = supernet.preprocess
    teacher = make_supernet(supernet.space, p.mean.flatten().tolist(), p.std.flatten().tolist(), seed)
    model = Shrinking(supernet, teacher)
    _, total = steps_of(config, len(data))

    def loss_of_step(x: Tensor, y: Tensor, step: int, backward: Callable[[Tensor], None]) -> float:
        phase, _, _ = phase_at(model.phases, step, total)
        rng, mean = np.random.default_rng((seed, 1, step)), 0.0
        for loss in model.losses(x, y, phase, rng, config.label_smoothing):
            backward(loss)
            mean += float(loss.detach()) / phase.subnets
        return mean

    def before_step(step: int, optimizer: torch.optim.Optimizer) -> float:
        phase, start, end = phase_at(model.phases, step, total)
        if step == start > 0:
            model.begin(phase)
            optimizer.state.clear()  # the momentum belongs to the channels' former order
        return phase.lr * learning_rate(config, step - start, end - start)

    _fit(model, data, loss_of_step, config, seed, checkpoint, progress, before_step)


def train_network(
    network: nn.Module, images: Images, config: TrainConfig, seed: int = 0, progress: Progress = silent,
    losses: list[float] | None = None,
) -> nn.Module:  # fmt: skip
    """Train a plain network alone, on `images.train`; returned in evaluation mode.

    Args:
        losses: where given, the loss of every step is appended.
    """

    def loss_of_step(x: Tensor, y: Tensor, step: int, backward: Callable[[Tensor], None]) -> float:
        loss = F.cross_entropy(network(x), y, label_smoothing=config.label_smoothing)
        backward(loss)
        value = float(loss.detach())
        if losses is not None:
            losses.append(value)
        return value

    _fit(network, images.train, loss_of_step, config, seed, None, progress)
    return network.cpu().eval()


def steps_of(config: TrainConfig, images: int) -> tuple[int, int]:
    """Steps per epoch and in all."""
    per_epoch = max(1, images // config.batch)
    return per_epoch, max(1, math.ceil(config.epochs * per_epoch))


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """Linear warm-up over 5 % of the steps, then cosine to zero."""
    warm = max(1, total // 20)
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _fit(
    model: nn.Module, data: Split, loss_of_step: Callable, config: TrainConfig, seed: int,
    checkpoint: Path | None, progress: Progress,
    before_step: Callable[[int, torch.optim.Optimizer], float] | None = None,
) -> None:  # fmt: skip
    """The loop. `before_step` may change the model between two steps, and gives the step's learning rate."""
    keep_memory()
    fabric = _fabric()
    model.to(fabric.device)
    optimizer = _optimizer(model, config)
    start = 0
    if checkpoint is not None and checkpoint.exists():
        start = load_checkpoint(checkpoint, model, optimizer)
        model.to(fabric.device)
    if fabric.all_reduce(torch.tensor(float(start)), reduce_op="mean") != start:
        raise InputError(
            f"one process goes on at step {start}, others do not: all need the folder of {str(checkpoint)!r}"
        )
    per_epoch, total = steps_of(config, len(data))
    model.train()
    for step in progress(range(start, total), total - start, "training"):
        lr = learning_rate(config, step, total) if before_step is None else before_step(step, optimizer)
        for group in optimizer.param_groups:
            group["lr"] = lr
        index = _batch(len(data), config.batch, seed, step, per_epoch)[fabric.global_rank :: fabric.world_size]
        generator = torch.Generator().manual_seed((seed * 1_000_003 + step) * 64 + fabric.global_rank)
        x = augment(data.images[index], generator, config.flip, config.shift, config.cutout).to(fabric.device)
        y = data.labels[index].to(fabric.device)
        loss = loss_of_step(x, y, step, fabric.backward)
        if not math.isfinite(loss):
            raise InputError(f"training diverged at step {step}: the loss is {loss}; lower lr ({config.lr})")
        _average_gradients(model, fabric)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        due = (step + 1) % config.checkpoint_steps == 0 and step + 1 < total
        if checkpoint is not None and due and fabric.is_global_zero:
            save_checkpoint(checkpoint, model, optimizer, step + 1)


def _fabric() -> lightning_fabric.Fabric:
    """One process on the best accelerator; under `torchrun`, all of its processes."""
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return lightning_fabric.Fabric(accelerator="auto", devices=1)
    fabric = lightning_fabric.Fabric(accelerator="auto", devices=local, num_nodes=world // local, strategy="ddp")
    fabric.launch()
    atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """End gloo's threads while there is an interpreter: one that lets a tensor go after it aborts the process."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.SGD:
    """No weight decay on norms and biases."""
    trained = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in trained if p.ndim > 1]
    others = [p for p in trained if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True)


def _batch(n: int, batch: int, seed: int, step: int, per_epoch: int) -> np.ndarray:
    """Row numbers of a step's batch: an epoch is one shuffled pass."""
    epoch, at = divmod(step, per_epoch)
    order = np.random.default_rng((seed, 0, epoch)).permutation(n)
    return order[at * batch : (at + 1) * batch]


def _average_gradients(model: nn.Module, fabric: lightning_fabric.Fabric) -> None:
    """Average over processes; parameters that no subnet of this step used count as zero.

    Raises:
        InputError: another process of the group has ended.
    """
    if fabric.world_size == 1:
        return
    trained = [p for p in model.parameters() if p.requires_grad]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
    try:
        flat = fabric.all_reduce(torch.cat([g.flatten() for g in grads]), reduce_op="mean")
    except RuntimeError as error:
        why = str(error).splitlines()[0][-200:]
        raise InputError(
            f"a process of the group was lost ({why}); start the job again with --resume, and it goes on from its last "
            "checkpoint"
        ) from error
    assert isinstance(flat, Tensor)
    for p, g in zip(trained, flat.split([g.numel() for g in grads])):
        p.grad = g.view_as(p)
