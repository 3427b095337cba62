"""Training of supernets and of single plain networks, with one training loop.

Every step is a function of (seed, step): its batch, its augmentation and its subnets. A killed run therefore resumes
from its last checkpoint and reaches the same weights. lightning-fabric chooses the accelerator and, under `torchrun`,
splits every batch over the processes; gradients are then averaged by our own code, since each step runs several subnets
of different shapes.
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
from explorer.core.protocols import Hear, Progress, SearchSpace, deaf, silent
from explorer.data.datasets import Images, Split
from explorer.fast.memory import keep_memory
from explorer.fast.threads import threads_for
from explorer.spaces.base import configured
from explorer.supernets.augment import batch_of, mixed
from explorer.supernets.checkpoint import load_checkpoint, save_checkpoint
from explorer.supernets.config import TrainConfig
from explorer.supernets.sampling import RULES
from explorer.supernets.shrinking import Shrinking, phase_at
from explorer.supernets.supernet import Supernet


def make_supernet(space: SearchSpace, mean: Sequence[float], std: Sequence[float], seed: int = 0) -> Supernet:
    """Create the supernet of a space, with fresh weights.

    Args:
        space: already configured for the images (`space.for_images`).
        mean, std: normalisation of the images, per channel.
        seed: seed of the initial weights.

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
    hear: Hear = deaf,
) -> Supernet:  # fmt: skip
    """Train the supernet of a space.

    Args:
        space: a space that has a supernet (mobile or unified family); it is configured for the images automatically.
        images: only `images.train` is used.
        config: see `TrainConfig`.
        seed: seed of initial weights, batches and sampled subnets.
        checkpoint: file that is written every `checkpoint_steps` steps; if it exists, training resumes from it.
        progress: reports training steps.
        supernet: a supernet of this space, configured for these images, that is trained further; None starts with
            fresh weights.
        hear: called after every step with its number, the number of steps and its loss.

    Returns:
        The supernet on the CPU, in evaluation mode.
    """
    config = config or TrainConfig()
    space = configured(space, images.channels, len(images.classes), images.size)
    supernet = supernet or make_supernet(space, images.mean, images.std, seed)
    train = _train_progressively if config.rule == "progressive" else _train_by_rule
    train(supernet, images, config, seed, checkpoint, progress, hear)
    return supernet.cpu().eval()


def _train_by_rule(
    supernet: Supernet, images: Images, config: TrainConfig, seed: int, checkpoint: Path | None, progress: Progress,
    hear: Hear,
) -> None:  # fmt: skip
    rule, with_labels = RULES[config.rule], loss_with_labels(images, config)

    def loss_of_step(x: Tensor, y: Tensor, step: int, backward: Callable[[Tensor], None]) -> float:
        codes = rule(supernet.space, seed, step, config.random_subnets)
        teacher, total = None, 0.0
        for row in codes:
            logits = supernet(x, row)
            if teacher is None:
                loss = with_labels(logits, y)
                if config.rule == "sandwich":
                    teacher = logits.detach().softmax(1)
            else:
                loss = F.cross_entropy(logits, teacher)
            backward(loss / len(codes))
            total += float(loss.detach()) / len(codes)
        return total

    _fit(supernet, images, loss_of_step, config, seed, checkpoint, progress, hear)


def _train_progressively(
    supernet: Supernet, images: Images, config: TrainConfig, seed: int, checkpoint: Path | None, progress: Progress,
    hear: Hear,
) -> None:  # fmt: skip
    with_labels = loss_with_labels(images, config)
    p = supernet.preprocess
    teacher = make_supernet(supernet.space, p.mean.flatten().tolist(), p.std.flatten().tolist(), seed)
    model = Shrinking(supernet, teacher)
    _, total = steps_of(config, len(images.train))

    def loss_of_step(x: Tensor, y: Tensor, step: int, backward: Callable[[Tensor], None]) -> float:
        phase, _, _ = phase_at(model.phases, step, total)
        rng, mean = np.random.default_rng((seed, 1, step)), 0.0
        for loss in model.losses(x, y, phase, rng, with_labels):
            backward(loss)
            mean += float(loss.detach()) / phase.subnets
        return mean

    def before_step(step: int, optimizer: torch.optim.Optimizer) -> float:
        phase, start, end = phase_at(model.phases, step, total)
        if step == start > 0:
            model.begin(phase)
            optimizer.state.clear()  # the momentum refers to the former order of the channels
        return phase.lr * learning_rate(config, step - start, end - start)

    _fit(model, images, loss_of_step, config, seed, checkpoint, progress, hear, before_step)


def train_network(
    network: nn.Module, images: Images, config: TrainConfig, seed: int = 0, progress: Progress = silent,
    hear: Hear = deaf,
) -> nn.Module:  # fmt: skip
    """Train one plain network in place, on `images.train`; return it on the CPU, in evaluation mode.

    Args:
        network: the network to train.
        images: only `images.train` is used.
        config: see `TrainConfig`; the sampling rule does not apply.
        seed: seed of batches and augmentation.
        progress: reports training steps.
        hear: called after every step with its number, the number of steps and its loss.
    """

    with_labels = loss_with_labels(images, config)

    def loss_of_step(x: Tensor, y: Tensor, step: int, backward: Callable[[Tensor], None]) -> float:
        loss = with_labels(network(x), y)
        backward(loss)
        return float(loss.detach())

    _fit(network, images, loss_of_step, config, seed, None, progress, hear)
    return network.cpu().eval()


def steps_of(config: TrainConfig, images: int) -> tuple[int, int]:
    """Return the steps per epoch and the total number of steps."""
    per_epoch = max(1, images // config.batch)
    return per_epoch, max(1, math.ceil(config.epochs * per_epoch))


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """Return the learning rate of a step: linear warm-up over 5 % of the steps, then cosine decay to zero."""
    warm = max(1, total // 20)
    if step < warm:
        return config.lr * (step + 1) / warm
    return config.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))


def _fit(
    model: nn.Module, images: Images, loss_of_step: Callable, config: TrainConfig, seed: int,
    checkpoint: Path | None, progress: Progress, hear: Hear,
    before_step: Callable[[int, torch.optim.Optimizer], float] | None = None,
) -> None:  # fmt: skip
    """Run the training loop. `before_step` can change the model before a step, and returns its learning rate."""
    with threads_for(min(config.batch, len(images.train)), images.size):
        _steps(model, images, loss_of_step, config, seed, checkpoint, progress, hear, before_step)


def _steps(
    model: nn.Module, images: Images, loss_of_step: Callable, config: TrainConfig, seed: int,
    checkpoint: Path | None, progress: Progress, hear: Hear,
    before_step: Callable[[int, torch.optim.Optimizer], float] | None,
) -> None:  # fmt: skip
    keep_memory()
    data, classes = images.train, len(images.classes)
    fabric = _fabric()
    model.to(fabric.device)
    optimizer = _optimizer(model, config)
    start = 0
    if checkpoint is not None and checkpoint.exists():
        start = load_checkpoint(checkpoint, model, optimizer)
        model.to(fabric.device)
    if fabric.all_reduce(torch.tensor(float(start)), reduce_op="mean") != start:
        raise InputError(
            f"this process resumes at step {start}, others do not: all of them must read checkpoint {str(checkpoint)!r}"
        )
    per_epoch, total = steps_of(config, len(data))
    model.train()
    for step in progress(range(start, total), total - start, "training"):
        lr = learning_rate(config, step, total) if before_step is None else before_step(step, optimizer)
        for group in optimizer.param_groups:
            group["lr"] = lr * group["share"]
        index = _batch(data, config, seed, step, per_epoch)[fabric.global_rank :: fabric.world_size]
        drawn = (seed * 1_000_003 + step) * 64 + fabric.global_rank
        x, y = batch_of(data, index, config, drawn)
        if config.mix != "none":
            x, y = mixed(x, y, config.mix, classes, drawn)
        x, y = x.to(fabric.device), y.to(fabric.device)
        loss = loss_of_step(x, y, step, fabric.backward)
        if not math.isfinite(loss):
            raise InputError(f"training diverged at step {step}: the loss is {loss}; lower lr ({config.lr})")
        _average_gradients(model, fabric)
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        hear(step, total, loss)
        due = (step + 1) % config.checkpoint_steps == 0 and step + 1 < total
        if checkpoint is not None and due and fabric.is_global_zero:
            save_checkpoint(checkpoint, model, optimizer, step + 1)


def _fabric() -> lightning_fabric.Fabric:
    """Set up one process on the best accelerator or, under `torchrun`, the group of all its processes."""
    world, local = (int(os.environ.get(name, "1")) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world == 1:
        return lightning_fabric.Fabric(accelerator="auto", devices=1)
    fabric = lightning_fabric.Fabric(accelerator="auto", devices=local, num_nodes=world // local, strategy="ddp")
    fabric.launch()
    atexit.register(_leave_group)
    return fabric


def _leave_group() -> None:
    """Stop gloo's threads before the interpreter ends: a thread that frees a tensor later aborts the process."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.SGD:
    """Create the optimizer: SGD with Nesterov momentum, without weight decay on norms and biases.

    Every group has a `share` of the learning rate: 1 for the classifier, `inherited_lr` for the rest.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            decay = config.weight_decay if p.ndim > 1 else 0.0
            share = 1.0 if "blocks.classifier." in name else config.inherited_lr
            groups.setdefault((decay, share), []).append(p)
    listed = [{"params": found, "weight_decay": decay, "share": share} for (decay, share), found in groups.items()]
    return torch.optim.SGD(listed, lr=config.lr, momentum=0.9, nesterov=True)


def _batch(data: Split, config: TrainConfig, seed: int, step: int, per_epoch: int) -> np.ndarray:
    """Return the row indices of a step's batch.

    Every epoch is one shuffled pass over the data; with balanced sampling, as many draws as there are images, all
    classes equally often.
    """
    epoch, at = divmod(step, per_epoch)
    rng = np.random.default_rng((seed, 0, epoch))
    if config.balance == "sampling":
        labels = data.labels.numpy()
        chance = 1 / np.bincount(labels)[labels]
        order = rng.choice(len(data), len(data), p=chance / chance.sum())
    else:
        order = rng.permutation(len(data))
    return np.asarray(order[at * config.batch : (at + 1) * config.batch])


def loss_with_labels(images: Images, config: TrainConfig) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the loss of logits (n, classes) against labels (n,) or class shares (n, classes): a cross-entropy.

    With `balance = "weights"`, images of small classes weigh more, so that all classes count alike.
    """
    weight = None
    if config.balance == "weights":
        counts = torch.bincount(images.train.labels, minlength=len(images.classes)).float().clamp(min=1)
        weight = counts.sum() / counts / len(counts)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        own = None if weight is None else weight.to(logits.device)
        return F.cross_entropy(logits, y, own, label_smoothing=config.label_smoothing)

    return loss


def _average_gradients(model: nn.Module, fabric: lightning_fabric.Fabric) -> None:
    """Average gradients over processes; parameters that no subnet of this step used have gradient zero.

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
            f"another process of this training ended ({why}); start the job again with "
            "--resume, and it goes on from its last "
            "checkpoint"
        ) from error
    assert isinstance(flat, Tensor)
    for p, g in zip(trained, flat.split([g.numel() for g in grads])):
        p.grad = g.view_as(p)
